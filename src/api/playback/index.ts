export { registerPlayback } from './register-playback.ts'
export type { PlaybackOptions } from './register-playback.ts'
