/**
 * The EBML and Matroska elements that we read or write (RFC 8794 §11, RFC 9559 §5), as the numbers
 * that stand in the file, length marker included.
 */
export const ElementId = {
  Ebml: 0x1a45dfa3,
  EbmlVersion: 0x4286,
  EbmlReadVersion: 0x42f7,
  EbmlMaxIdLength: 0x42f2,
  EbmlMaxSizeLength: 0x42f3,
  DocType: 0x4282,
  DocTypeVersion: 0x4287,
  DocTypeReadVersion: 0x4285,
  Void: 0xec,
  Crc32: 0xbf,

  Segment: 0x18538067,
  SeekHead: 0x114d9b74,
  Seek: 0x4dbb,
  SeekId: 0x53ab,
  SeekPosition: 0x53ac,
  Info: 0x1549a966,
  TimecodeScale: 0x2ad7b1,
  Duration: 0x4489,
  MuxingApp: 0x4d80,
  WritingApp: 0x5741,
  Title: 0x7ba9,

  Tracks: 0x1654ae6b,
  TrackEntry: 0xae,
  TrackNumber: 0xd7,
  TrackUid: 0x73c5,
  TrackType: 0x83,
  FlagLacing: 0x9c,
  Language: 0x22b59c,
  CodecId: 0x86,
  CodecPrivate: 0x63a2,
  Video: 0xe0,
  PixelWidth: 0xb0,
  PixelHeight: 0xba,
  Audio: 0xe1,
  SamplingFrequency: 0xb5,
  Channels: 0x9f,
  BitDepth: 0x6264,
  ContentEncodings: 0x6d80,

  Cluster: 0x1f43b675,
  Timecode: 0xe7,
  SimpleBlock: 0xa3,
  BlockGroup: 0xa0,
  Block: 0xa1,
  BlockDuration: 0x9b,
  ReferenceBlock: 0xfb,

  Cues: 0x1c53bb6b,
  CuePoint: 0xbb,
  CueTime: 0xb3,
  CueTrackPositions: 0xb7,
  CueTrack: 0xf7,
  CueClusterPosition: 0xf1,
  Chapters: 0x1043a770,
  Attachments: 0x1941a469,
  Tags: 0x1254c367,
  Tag: 0x7373,
  SimpleTag: 0x67c8,
  TagName: 0x45a3,
  TagString: 0x4487,
} as const

const ABOVE_CLUSTER: ReadonlySet<number> = new Set([
  ElementId.Ebml,
  ElementId.Segment,
  ElementId.SeekHead,
  ElementId.Info,
  ElementId.Tracks,
  ElementId.Cluster,
  ElementId.Cues,
  ElementId.Chapters,
  ElementId.Attachments,
  ElementId.Tags,
])

/**
 * Whether this element ends a Cluster of unknown size: only a parent's or a sibling's ID does
 * (RFC 8794 §6.2). Void and CRC-32 are global elements and may lie anywhere.
 */
export function endsUnknownCluster(id: number): boolean {
  return ABOVE_CLUSTER.has(id)
}

const NAMES = new Map<number, string>(Object.entries(ElementId).map(([name, id]) => [id, name]))

/** For messages: the element's name, or its ID in hexadecimal. */
export function elementName(id: number): string {
  return NAMES.get(id) ?? `0x${id.toString(16)}`
}
