import type { StreamId } from '../../domain/stream.ts'

/** Something in the archive that is not as docs/design/archive.md says. */
export type FsckFinding = {
  readonly code: FsckCode
  readonly stream: StreamId | null
  /** The chunk's id, or a path below the archive where there is none. */
  readonly chunk: string | null
  readonly detail: string
}

export type FsckCode =
  | 'chunk-missing' // a row without its file
  | 'chunk-length' // the file is not as long as its row says
  | 'sidecar-missing'
  | 'sidecar-damaged' // torn, or with other rows than the chunk has
  | 'time-row' // a time row that is missing, or that no chunk explains
  | 'open-row' // an open row without its chunk
  | 'sums' // a stream's chunks or bytes are not those of its chunks
  | 'orphan-file' // a file that no row names
  | 'unreadable' // the system does not read it
  | 'media' // the chunk is not Matroska, or not laid out as chunks are
  | 'note' // a fragment's note is missing or disagrees with its bytes
  | 'meta-table' // a block of the metadata is not as it was written
  | 'checksum' // a fragment's bytes are not those that were written

export type FsckReport = {
  readonly checked: {
    readonly streams: number
    readonly chunks: number
    /** Chunks that were open when the process ended: the next start finishes them. */
    readonly openChunks: number
    readonly fragments: number
    /** Read and checked byte by byte. */
    readonly bytes: number
  }
  readonly findings: readonly FsckFinding[]
  /** Findings that were put right. */
  readonly repaired: number
}
