export { createClips, type Clip, type ClipPart, type Clips, type ClipsOptions } from './clips.ts'
export type { ClipLimits, ClipRange } from './clip-timeline.ts'
