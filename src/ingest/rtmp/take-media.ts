import type { EpochMs } from '../../domain/time.ts'
import type { FlvIntake } from '../flv/flv-intake.ts'
import { parseAggregate, type AggregatedMessage } from './aggregate.ts'
import {
  parseData,
  TYPE_AGGREGATE,
  TYPE_AUDIO,
  TYPE_DATA_AMF0,
  TYPE_DATA_AMF3,
  TYPE_VIDEO,
} from './commands.ts'

/**
 * Gives a message of the kinds that carry media, alone or in an aggregate, to the intake; others are
 * ignored. Of data messages only onMetaData says something that is kept.
 *
 * @throws MalformedMediaError
 */
export function takeMedia(intake: FlvIntake, message: AggregatedMessage, arrivedAt: EpochMs): void {
  const { typeId, timestamp, payload } = message
  switch (typeId) {
    case TYPE_VIDEO:
      intake.video(payload, timestamp, arrivedAt)
      break
    case TYPE_AUDIO:
      intake.audio(payload, timestamp, arrivedAt)
      break
    case TYPE_DATA_AMF0:
    case TYPE_DATA_AMF3:
      intake.metadata(parseData(typeId, payload))
      break
    case TYPE_AGGREGATE:
      for (const each of parseAggregate(payload, timestamp)) {
        // One in another would only nest.
        if (each.typeId !== TYPE_AGGREGATE) takeMedia(intake, each, arrivedAt)
      }
  }
}
