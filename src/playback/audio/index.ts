export {
  createPlayableAudio,
  readSound,
  storedFragments,
  type FragmentSource,
  type PlayableAudio,
  type PlayableAudioOptions,
  type PlayableFragment,
} from './playable-audio.ts'
export { transcodedOf } from './source-sound.ts'
