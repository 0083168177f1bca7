import type { MediaDescription } from '../sdp/parse-sdp.ts'

/**
 * Which medias of a camera are set up: the first video, the first audio, and ONVIF metadata. A media
 * that the camera would receive (a back channel, `sendonly` as ONVIF writes it) is never set up, nor
 * one that is encrypted by keys that we do not have.
 */
export function chooseMedias(medias: readonly MediaDescription[]): readonly MediaDescription[] {
  const isOpen = ({ protocol, encoding, direction }: MediaDescription) =>
    !/SAVP/.test(protocol) && encoding !== '' && direction !== 'inactive'
  const open = medias.filter(isOpen)
  const offered = open.filter(({ direction }) => direction !== 'sendonly')
  const hasVideo = (some: readonly MediaDescription[]) => some.some(({ kind }) => kind === 'video')
  // A camera that calls its video `sendonly` means itself.
  const wanted = hasVideo(open) && !hasVideo(offered) ? open : offered
  const firstOf = (kind: MediaDescription['kind']) => wanted.filter((each) => each.kind === kind)[0]
  const metadata = wanted.find(
    ({ kind, encoding }) => kind === 'application' && encoding === 'VND.ONVIF.METADATA',
  )
  return [firstOf('video'), firstOf('audio'), metadata].filter((media) => media !== undefined)
}
