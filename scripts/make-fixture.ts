import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { AAC_FRAME_SAMPLES, FilmWriter } from './moving-shapes/film-writer.ts'
import { drawMovers, drawYard, FILM } from './moving-shapes/yard-scene.ts'

/**
 * Writes fixtures/moving-shapes.mp4: what the demo camera publishes and what motion has to be
 * found in. See fixtures/README.md.
 *
 *     node scripts/make-fixture.ts [PATH]            (Node 22.18 or later runs it as it is)
 */
export async function makeFixture(path: string): Promise<void> {
  const { widthPx, heightPx, framesPerSecond, seconds } = FILM
  await using film = await FilmWriter.open({
    path,
    widthPx,
    heightPx,
    framesPerSecond,
    keyEverySeconds: 2,
    sampleRateHz: SAMPLE_RATE_HZ,
    audioBitrateBps: 32_000,
    crf: 25,
  })
  const yard = await sharp(Buffer.from(drawYard())).removeAlpha().png().toBuffer()
  let heardSamples = 0
  for (let i = 0; i < framesPerSecond * seconds; i++) {
    const time = i / framesPerSecond
    const untilSample = ((i + 1) / framesPerSecond) * SAMPLE_RATE_HZ
    for (; heardSamples < untilSample; heardSamples += AAC_FRAME_SAMPLES) {
      await film.addSound(toneFrom(heardSamples))
    }
    const movers = drawMovers(time)
    const picture = sharp(yard).composite(movers === null ? [] : [{ input: Buffer.from(movers) }])
    await film.addPicture(await picture.removeAlpha().raw().toBuffer())
  }
  await film.finish()
}

const SAMPLE_RATE_HZ = 44_100
const TONE_HZ = 440

/** A quiet tone that swells once a second, so that one hears whether it is in step. */
function toneFrom(firstSample: number): Float32Array {
  return Float32Array.from({ length: AAC_FRAME_SAMPLES }, (_, i) => {
    const time = (firstSample + i) / SAMPLE_RATE_HZ
    const loudness = 0.04 + 0.03 * Math.cos(2 * Math.PI * time)
    return loudness * Math.sin(2 * Math.PI * TONE_HZ * time)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const standard = fileURLToPath(new URL('../fixtures/moving-shapes.mp4', import.meta.url))
  await makeFixture(process.argv[2] ?? standard)
}
