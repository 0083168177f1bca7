import { ServiceError } from '../domain/errors.ts'
import type { StreamId } from '../domain/stream.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'
import type { MetaStore } from '../platform/meta-store.ts'
import { Turns } from '../platform/turns.ts'
import { NamedRows, newVersion } from './named-rows.ts'
import { checkTags, type Tags } from './tags.ts'

/** Where WebRTC peers are to find each other (Kinesis Video Streams API, ChannelInfo). */
export type SignalingChannel = {
  /** As a stream's name is. */
  readonly name: string
  readonly createdAt: EpochMs
  /** 5..120. */
  readonly messageTtlSeconds: number
  readonly tags: Tags
  /** The stream that is to keep the channel's media; `null`: none is kept. */
  readonly storageStreamId: StreamId | null
  /** Alphanumeric; another one after every change but those of tags and storage. */
  readonly version: string
}

export type ChannelChange = Partial<Pick<SignalingChannel, 'messageTtlSeconds' | 'tags'>>

/** The named signaling channels. Survives restarts; changes are durable when they resolve. */
export interface ChannelRegistry {
  /** In order of the name. */
  list(): readonly SignalingChannel[]
  find(name: string): SignalingChannel | null
  /** @throws ServiceError `conflict`/`ChannelExists`, `limit-exceeded`/`TooManyTags` */
  create(
    channel: Pick<SignalingChannel, 'name' | 'messageTtlSeconds' | 'tags'>,
  ): Promise<SignalingChannel>
  /**
   * Changes of one channel happen one after the other.
   *
   * @param change sees the channel as it is when its turn has come; what it throws changes nothing
   * @throws ServiceError `not-found`/`ChannelNotFound`, `limit-exceeded`/`TooManyTags`
   */
  update(
    name: string,
    change: (current: SignalingChannel) => ChannelChange,
  ): Promise<SignalingChannel>
  /**
   * Says which stream is to keep the channel's media. These changes happen one after the other over all
   * channels, so that `choose` may look at the others.
   *
   * @throws ServiceError `not-found`/`ChannelNotFound`; what `choose` throws
   */
  changeStorage(name: string, choose: () => StreamId | null): Promise<void>
  /**
   * @param check sees it as `change` does; what it throws keeps the channel
   * @throws ServiceError `not-found`/`ChannelNotFound`
   */
  delete(name: string, check: (current: SignalingChannel) => void): Promise<void>
}

export async function openChannelRegistry(meta: MetaStore, clock: Clock): Promise<ChannelRegistry> {
  const rows = await NamedRows.open<SignalingChannel>(meta, 'signaling-channel')
  const storageTurns = new Turns()
  const change = async (name: string, next: (row: SignalingChannel) => SignalingChannel) => {
    const row = await rows.change(name, next)
    if (row === null) throw notFound(name)
    return row
  }
  return {
    list: () => [...rows.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    find: (name) => rows.find(name),
    create: async (channel) => {
      checkTags(channel.tags)
      const row = {
        ...channel,
        createdAt: clock.now(),
        storageStreamId: null,
        version: newVersion(),
      }
      if (await rows.insert(row)) return row
      const message = `A channel named ${channel.name} exists already.`
      throw new ServiceError('conflict', 'ChannelExists', message)
    },
    update: (name, ask) =>
      change(name, (current) => {
        const asked = ask(current)
        checkTags(asked.tags)
        const version = asked.messageTtlSeconds === undefined ? current.version : newVersion()
        return { ...current, ...asked, version }
      }),
    changeStorage: (name, choose) =>
      storageTurns.take('', async () => {
        await change(name, (current) => ({ ...current, storageStreamId: choose() }))
      }),
    delete: async (name, check) => {
      if (!(await rows.remove(name, check))) throw notFound(name)
    },
  }
}

function notFound(name: string): ServiceError {
  return new ServiceError('not-found', 'ChannelNotFound', `There is no channel named ${name}.`)
}
