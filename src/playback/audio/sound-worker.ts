import { serveRequests } from '../../platform/worker-requests.ts'
import type { AacSound, SoundCall } from './sound-call.ts'
import { transcodeSound } from './transcode-sound.ts'

// Entry of the worker thread that makes AAC of other sound.

serveRequests<SoundCall, AacSound>(
  async (call) => transcodeSound(call),
  async () => undefined,
)
