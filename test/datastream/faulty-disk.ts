import { nodeDisk, type LogDisk, type LogFile } from '../../src/datastream/log-disk.ts'

/** A real disk that counts syncs and fails when told to. */
export class FaultyDisk implements LogDisk {
  syncs = 0
  openFiles = 0
  bytesRead = 0
  /** Bytes that still fit; a write takes what fits, then fails as a full disk does. */
  freeBytes = Number.POSITIVE_INFINITY
  failSync = false
  /** Asked at every sync, besides. */
  failSyncWhen: () => boolean = () => false
  failTruncate = false
  /** When set, syncs wait for it. */
  gate: Promise<void> | null = null
  /** Syncs that wait for the gate. */
  waiting = 0
  readonly syncDirectory = nodeDisk.syncDirectory

  readonly open: LogDisk['open'] = async (path, flags) => {
    const file = await nodeDisk.open(path, flags)
    this.openFiles += 1
    const faulty: LogFile = {
      read: (async (bytes: Buffer, offset: number, length: number, position: number) => {
        const read = await file.read(bytes, offset, length, position)
        this.bytesRead += read.bytesRead
        return read
      }) as LogFile['read'],
      stat: file.stat.bind(file),
      close: async () => {
        this.openFiles -= 1
        await file.close()
      },
      write: (async (bytes: Buffer, offset: number, length: number, position: number) => {
        const fits = Math.min(length, this.freeBytes)
        if (fits === 0) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
        this.freeBytes -= fits
        return file.write(bytes, offset, fits, position)
      }) as LogFile['write'],
      datasync: async () => {
        this.waiting += 1
        await this.gate
        this.waiting -= 1
        if (this.failSync || this.failSyncWhen())
          throw Object.assign(new Error('I/O error'), { code: 'EIO' })
        this.syncs += 1
        await file.datasync()
      },
      truncate: async (length) => {
        if (this.failTruncate) throw Object.assign(new Error('I/O error'), { code: 'EIO' })
        await file.truncate(length)
      },
    }
    return faulty
  }
}
