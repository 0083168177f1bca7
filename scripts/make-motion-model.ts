import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildMotionModel, CELL_PX, HEIGHT_PX, WIDTH_PX } from './motion-model/motion-graph.ts'

/**
 * Writes models/kinora-motion: the motion detector as an ONNX graph, and its manifest. There is
 * nothing trained in it and the same bytes come out every time (a test compares them).
 *
 *     node scripts/make-motion-model.ts            (Node 22.18 or later runs it as it is)
 */
export function makeMotionModel(): { readonly onnx: Uint8Array; readonly manifest: string } {
  const onnx = buildMotionModel()
  const manifest = {
    name: 'kinora-motion',
    version: '1',
    description:
      'Moving regions between two sampled frames: robust against noise and changes of light.',
    source: { url: 'scripts/make-motion-model.ts' },
    licence: 'Apache-2.0',
    file: 'model.onnx',
    sha256: createHash('sha256').update(onnx).digest('hex'),
    sizeBytes: onnx.byteLength,
    input: {
      name: 'frames',
      layout: 'NCHW',
      width: WIDTH_PX,
      height: HEIGHT_PX,
      frames: 2,
      channelOrder: 'RGB',
      letterbox: 'stretch',
      padValue: 0,
      mean: [0, 0, 0],
      std: [255, 255, 255],
    },
    output: {
      type: 'motion-map',
      output: 'motion',
      low: 0.12,
      high: 0.4,
      minCells: 2,
      mergeGapCells: 1,
    },
    labels: ['motion'],
    defaults: { minScore: 0.3, iou: 1 },
  }
  if (WIDTH_PX % CELL_PX !== 0 || HEIGHT_PX % CELL_PX !== 0) throw new Error('cells must tile')
  return { onnx, manifest: toJson(manifest) }
}

/** JSON as the formatter leaves it: short lists on one line. */
function toJson(value: object): string {
  const text = JSON.stringify(value, null, 2)
  return `${text.replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, (_, items: string) => `[${items.replace(/\s+/g, ' ')}]`)}\n`
}

async function main(): Promise<void> {
  const folder = new URL('../models/kinora-motion/', import.meta.url)
  const { onnx, manifest } = makeMotionModel()
  await mkdir(dirname(fileURLToPath(new URL('manifest.json', folder))), { recursive: true })
  await writeFile(new URL('model.onnx', folder), onnx)
  await writeFile(new URL('manifest.json', folder), manifest)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
