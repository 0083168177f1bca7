import { AV_CHANNEL_ORDER_NATIVE } from 'node-av/constants'
import type { ChannelLayout } from 'node-av/lib'

/** FFmpeg's layout of one or two channels, by a mask of speakers. */
export function toChannelLayout(channels: number): ChannelLayout {
  return channels === 1
    ? { nbChannels: 1, order: AV_CHANNEL_ORDER_NATIVE, mask: FRONT_CENTRE }
    : { nbChannels: 2, order: AV_CHANNEL_ORDER_NATIVE, mask: FRONT_LEFT | FRONT_RIGHT }
}

const FRONT_LEFT = 1n
const FRONT_RIGHT = 2n
const FRONT_CENTRE = 4n
