export {
  createPlayableAudio,
  storedFragments,
  type FragmentSource,
  type PlayableAudio,
  type PlayableAudioOptions,
  type PlayableFragment,
} from './playable-audio.ts'
