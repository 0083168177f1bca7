/** `null`: as the shape of the frame wants it; both: as wide and high as the frame. */
export type ImageSize = {
  readonly widthPx: number | null
  readonly heightPx: number | null
  /** `frame`: an image is not wider than its frame. */
  readonly limit: 'frame' | 'none'
}

type Size = { readonly widthPx: number; readonly heightPx: number }

/** No side of an image is longer, whatever the shape of its frame. */
const MAX_SIDE_PX = 8192

/** How large the image of a frame is. With both sides given its shape is theirs. */
export function toImageSize(frame: Size, { widthPx, heightPx, limit }: ImageSize): Size {
  if (widthPx !== null && heightPx !== null) return { widthPx, heightPx }
  const wanted =
    widthPx !== null ? widthPx / frame.widthPx : heightPx !== null ? heightPx / frame.heightPx : 1
  const longest = MAX_SIDE_PX / Math.max(frame.widthPx, frame.heightPx)
  const factor = Math.min(wanted, longest, limit === 'frame' ? 1 : Infinity)
  const scaled = (px: number) => Math.max(1, Math.round(px * factor))
  return { widthPx: scaled(frame.widthPx), heightPx: scaled(frame.heightPx) }
}
