import { Type, type Static } from '@sinclair/typebox'

/**
 * Every setting with its type, range, default and meaning. The one source of the validation, of
 * `kinora config schema`, of docs/ref/config.md and of {@link Config}.
 */
export const configSchema = Type.Object(
  {
    dataDirectory: Type.String({
      default: './kinora-data',
      minLength: 1,
      description: 'Where media, records and the metadata are kept. One process at a time.',
    }),
    publicUrl: Type.Union([Type.String({ pattern: '^https?://[^/]+(/.*)?$' }), Type.Null()], {
      default: null,
      description: 'How clients reach the HTTP port, for links in hooks; null: http://host:port.',
    }),
    log: section({
      level: Type.Union(
        ['debug', 'info', 'warn', 'error', 'silent'].map((level) => Type.Literal(level)),
        { default: 'info', description: 'debug, info, warn, error or silent.' },
      ),
    }),
    http: section({
      host: Type.String({
        default: '127.0.0.1',
        description: 'Address to bind. Anything but loopback needs auth.adminToken.',
      }),
      port: port(8080, 'Console, HLS, control API, metrics and the Kinesis API.'),
      tlsCertFile: optionalText('PEM certificate chain; with tlsKeyFile it turns TLS on.'),
      tlsKeyFile: optionalText('PEM private key.'),
    }),
    rtmp: section({
      enabled: Type.Boolean({ default: true }),
      host: Type.String({ default: '127.0.0.1', description: 'Address to bind.' }),
      port: port(1935, 'RTMP publishing: rtmp://host:port/<app>/<stream>?key=<publish key>.'),
      tlsPort: port(1936, 'RTMPS publishing; open when there is a certificate.'),
      tlsCertFile: optionalText('PEM certificate chain; with tlsKeyFile it turns RTMPS on.'),
      tlsKeyFile: optionalText('PEM private key.'),
      app: Type.String({ default: 'live', pattern: '^[a-zA-Z0-9_-]{1,64}$' }),
      maxConnections: Type.Integer({ default: 1000, minimum: 1, maximum: 100_000 }),
    }),
    rtsp: section({
      enabled: Type.Boolean({ default: true }),
      host: Type.String({ default: '127.0.0.1', description: 'Address to bind.' }),
      port: port(8554, 'RTSP publishing: rtsp://<stream>:<publish key>@host:port/live/<stream>.'),
      tlsPort: port(8322, 'RTSPS publishing; open when there is a certificate.'),
      tlsCertFile: optionalText('PEM certificate chain; with tlsKeyFile it turns RTSPS on.'),
      tlsKeyFile: optionalText('PEM private key.'),
      maxConnections: Type.Integer({ default: 1000, minimum: 1, maximum: 100_000 }),
      udp: Type.Boolean({
        default: true,
        description:
          'Take RTP over UDP. Off where UDP does not arrive, as in most containers: encoders are then ' +
          'told to use TCP.',
      }),
      udpFirstPort: Type.Integer({ default: 50_000, minimum: 1024, maximum: 65_534 }),
      udpLastPort: Type.Integer({
        default: 50_999,
        minimum: 1025,
        maximum: 65_535,
        description: 'Each video or audio track that comes over UDP takes two ports of the range.',
      }),
    }),
    auth: section({
      adminToken: optionalText(
        'Token for the control API and the console, at least 16 characters. Without it they are ' +
          'open to this machine and the port must stay on loopback.',
        16,
      ),
      accessKeys: Type.Array(
        Type.Object(
          {
            accessKeyId: Type.String({ pattern: '^[A-Za-z0-9]{16,128}$' }),
            secretAccessKey: Type.String({ minLength: 16 }),
            sessionToken: Type.Optional(
              Type.String({
                minLength: 1,
                maxLength: 4096,
                description:
                  'Makes the key one of temporary credentials: requests must carry this token too.',
              }),
            ),
            expires: Type.Optional(
              Type.String({
                pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,3})?Z$',
                description: 'When the session token ends, such as 2027-01-31T12:00:00Z.',
              }),
            ),
            policy: Type.Optional(
              Type.Object(
                {},
                {
                  additionalProperties: true,
                  description:
                    'IAM policy (Statement with Effect, Action, Resource, Condition) that says what ' +
                    'the key may do; absent: everything.',
                },
              ),
            ),
          },
          { additionalProperties: false },
        ),
        {
          default: [],
          description:
            'Keys for the AWS-compatible APIs. When empty, one is made at the first start and kept ' +
            'in the data directory: see `kinora config credentials`.',
        },
      ),
      awsSignatures: Type.Union([Type.Literal('required'), Type.Literal('off')], {
        default: 'required',
        description:
          'required, or off: anybody who reaches the port may call the AWS-compatible APIs. Only on ' +
          'loopback.',
      }),
    }),
    aws: section({
      region: Type.String({ default: 'us-east-1', pattern: '^[a-z0-9-]+$' }),
      accountId: Type.String({ default: '000000000000', pattern: '^[0-9]{12}$' }),
    }),
    audit: section({
      to: Type.Union([Type.Literal('file'), Type.Literal('stdout'), Type.Literal('off')], {
        default: 'file',
        description: 'Where the audit log goes; file: audit.log in the data directory.',
      }),
      include: Type.Array(
        Type.Union([Type.Literal('changes'), Type.Literal('reads'), Type.Literal('data')]),
        {
          default: ['changes'],
          description:
            'Calls that are told besides those refused for who made them: changes, reads ' +
            '(Get, List, Describe), data (media and records in and out).',
        },
      ),
      maxFileBytes: Type.Integer({ default: 64 * 1024 * 1024, minimum: 64 * 1024 }),
      maxFiles: Type.Integer({
        default: 8,
        minimum: 1,
        maximum: 1000,
        description: 'The one being written included; the oldest goes.',
      }),
    }),
    kinesisVideo: section({
      maxStreams: Type.Integer({
        default: 100_000,
        minimum: 1,
        description: 'CreateStream makes no more (AccountStreamLimitExceededException).',
      }),
      maxSignalingChannels: Type.Integer({
        default: 100_000,
        minimum: 1,
        description: 'CreateSignalingChannel makes no more (AccountChannelLimitExceededException).',
      }),
      rates: Type.Union([Type.Literal('off'), Type.Literal('documented')], {
        default: 'off',
        description:
          "How often operations may be called: off, or documented: the service's own limits.",
      }),
      ownRates: Type.Array(
        Type.Object(
          {
            operations: Type.Array(Type.String({ minLength: 1 }), {
              minItems: 1,
              description: 'Names such as GetClip; * for all that no other rate names.',
            }),
            per: Type.Union([Type.Literal('account'), Type.Literal('stream')]),
            callsPerSecond: Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 }),
          },
          { additionalProperties: false },
        ),
        {
          default: [],
          description: 'Limits of your own, whatever kinesisVideo.rates is; the last one counts.',
        },
      ),
    }),
    dataStreams: section({
      maxShards: Type.Integer({
        default: 10_000,
        minimum: 1,
        description: 'Open shards of all data streams together.',
      }),
      capacity: Type.Union([Type.Literal('off'), Type.Literal('report'), Type.Literal('enforce')], {
        default: 'off',
        description:
          'The limits per shard of Kinesis (1 MiB or 1,000 records in, 2 MiB or 5 polls out per ' +
          'second): off, report (count only) or enforce.',
      }),
      quotas: Type.Union([Type.Literal('off'), Type.Literal('enforce')], {
        default: 'off',
        description:
          'The quotas of Kinesis on calls per second, changes per day and on-demand streams: off or enforce.',
      }),
      keys: Type.Array(
        Type.Object(
          {
            keyId: Type.String({
              minLength: 1,
              maxLength: 2048,
              description: 'Such as alias/own.',
            }),
            file: Type.Optional(
              Type.String({ minLength: 1, description: '64 hexadecimal digits.' }),
            ),
            command: Type.Optional(
              Type.Array(Type.String(), {
                minItems: 1,
                description:
                  'In the place of file: program and arguments that wrap data keys, without a shell.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        {
          default: [],
          description:
            'Master keys for encryption at rest, each by file or by command. alias/aws/kinesis is there always: made from the ' +
            'secret in the data directory unless it is named here.',
        },
      ),
    }),
    archive: section({
      defaultRetentionHours: Type.Integer({
        default: 24,
        minimum: 0,
        maximum: 87_600,
        description: '0: a live buffer of five minutes or 200 MB, and nothing archived.',
      }),
      minFreeBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
        default: null,
        description:
          'Disk space kept free: below it the oldest media of the largest stream goes. null: a ' +
          'twentieth of the disk, at most 512 MiB.',
      }),
      fragmentTargetMs: Type.Integer({
        default: 2000,
        minimum: 200,
        maximum: 20_000,
        description: 'A fragment ends at the first key sample after this much media.',
      }),
      maxFragmentMs: Type.Integer({
        default: 20_000,
        minimum: 1000,
        maximum: 30_000,
        description: 'A longer GOP is split here, without a key sample.',
      }),
      maxQueuedBytes: Type.Integer({
        default: 32 * 1024 * 1024,
        minimum: 1024 * 1024,
        description: 'Per stream: media waiting for a slow disk; beyond it fragments are given up.',
      }),
      maxChunkBytes: Type.Integer({ default: 256 * 1024 * 1024, minimum: 1024 * 1024 }),
      checkBytesPerSecond: Type.Integer({
        default: 1024 * 1024,
        minimum: 0,
        description: 'Rate at which stored media is read again to find damage; 0: not at all.',
      }),
    }),
    putMedia: section({
      maxCallsPerStream: Type.Integer({
        default: 5,
        minimum: 1,
        description:
          'PutMedia calls of one stream at a time: producers open another before the last has drained.',
      }),
      maxTracks: Type.Integer({ default: 10, minimum: 1, maximum: 126 }),
      maxFragmentBytes: Type.Integer({
        default: 50_000_000,
        minimum: 1_000_000,
        maximum: 1_000_000_000,
      }),
    }),
    getMedia: section({
      maxReadersPerStream: Type.Integer({
        default: 1000,
        minimum: 1,
        description:
          'Answers of GetMedia at a time; one more is refused (ConnectionLimitExceededException). The ' +
          'service: 3.',
      }),
      idleTimeoutMs: Type.Integer({
        default: 60_000,
        minimum: 1_000,
        description: 'An answer of GetMedia ends when no media came for so long.',
      }),
    }),
    archivedMedia: section({
      maxCallsPerStream: Type.Integer({
        default: 100,
        minimum: 1,
        maximum: 10_000,
        description:
          'Of GetMediaForFragmentList, GetClip and GetImages each: answered at a time; one more is ' +
          'refused (ClientLimitExceededException).',
      }),
      clipMaxFragments: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
        default: null,
        description:
          'GetClip ends a clip behind so many fragments (the service: 200); null: never.',
      }),
      clipMaxBytes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
        default: null,
        description: 'GetClip ends a clip before so many stored bytes (100 MB); null: never.',
      }),
      imageWorkers: Type.Integer({
        default: 1,
        minimum: 1,
        maximum: 64,
        description: 'Threads that decode still images.',
      }),
    }),
    streams: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[a-zA-Z0-9_.-]{1,256}$' }),
          retentionHours: Type.Optional(Type.Integer({ minimum: 0, maximum: 87_600 })),
          quotaBytes: Type.Optional(Type.Integer({ minimum: 1_000_000 })),
          publishKey: Type.Optional(
            Type.String({ minLength: 8, maxLength: 128, pattern: '^[A-Za-z0-9._~-]+$' }),
          ),
        },
        { additionalProperties: false },
      ),
      { default: [], description: 'Streams made at the start when they do not exist.' },
    ),
    sources: Type.Array(
      Type.Object(
        {
          stream: Type.String({
            pattern: '^[a-zA-Z0-9_.-]{1,256}$',
            description: 'Made when it does not exist.',
          }),
          url: Type.String({
            minLength: 1,
            maxLength: 2048,
            description: 'rtsp, rtsps, rtmp, rtmps, http or https (HTTP-FLV).',
          }),
          username: Type.Optional(Type.String({ maxLength: 256 })),
          password: Type.Optional(Type.String({ maxLength: 256 })),
          passwordFile: Type.Optional(
            Type.String({ minLength: 1, description: 'File that holds the password instead.' }),
          ),
          transport: Type.Optional(
            Type.Union([Type.Literal('auto'), Type.Literal('tcp'), Type.Literal('udp')], {
              description: 'Of RTSP: auto (default: TCP, then UDP), tcp or udp.',
            }),
          ),
          verifyCertificate: Type.Optional(
            Type.Boolean({ description: 'Default true; false: a self-signed one will do.' }),
          ),
          enabled: Type.Optional(Type.Boolean({ description: 'Default true.' })),
          connectTimeoutMs: Type.Optional(
            Type.Integer({ minimum: 500, maximum: 60_000, description: 'Default 5000.' }),
          ),
          stallTimeoutMs: Type.Optional(
            Type.Integer({ minimum: 1000, maximum: 300_000, description: 'Default 10,000.' }),
          ),
        },
        { additionalProperties: false },
      ),
      {
        default: [],
        description: 'Cameras that are called for their media, one per stream.',
      },
    ),
    secrets: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[a-zA-Z0-9_.-]{1,256}$' }),
          value: Type.Optional(Type.String({ minLength: 1 })),
          file: Type.Optional(
            Type.String({ minLength: 1, description: 'File that holds the text instead.' }),
          ),
        },
        { additionalProperties: false },
      ),
      {
        default: [],
        description:
          'Texts that an edge configuration of the Kinesis Video API names by the ARN of a secret, ' +
          'which ends with the name: the URL of a camera.',
      },
    ),
    detection: section({
      enabled: Type.Boolean({ default: true }),
      model: Type.String({
        default: 'kinora-motion',
        description: 'Name of a built-in or added model, or a path.',
      }),
      framesPerSecond: Type.Number({ default: 5, exclusiveMinimum: 0, maximum: 60 }),
      workers: Type.Integer({ default: 1, minimum: 1, maximum: 64 }),
      minScore: Type.Union([Type.Number({ minimum: 0, maximum: 1 }), Type.Null()], {
        default: null,
        description: "null: the model's own.",
      }),
      labels: Type.Array(Type.String(), { default: [], description: 'Empty: all labels.' }),
      streams: Type.Array(Type.String(), { default: ['*'], description: "['*']: all streams." }),
      maxLagMs: Type.Union([Type.Integer({ minimum: 1000 }), Type.Null()], {
        default: 60_000,
        description: 'Further behind than this, it skips to the newest fragment; null: never.',
      }),
      resultsStream: Type.String({
        default: 'kinora-detections',
        pattern: '^[a-zA-Z0-9_.-]{1,128}$',
        description: 'Data stream that receives the results; made when missing.',
      }),
      resultsRetentionHours: Type.Integer({ default: 168, minimum: 24, maximum: 8760 }),
    }),
    delivery: section({
      images: Type.Union([Type.Literal('tagged'), Type.Literal('all')], {
        default: 'tagged',
        description:
          'Fragments whose images are delivered, of streams with an image generation configuration: ' +
          'tagged AWS_KINESISVIDEO_IMAGE_GENERATION by the producer, or all.',
      }),
      notifications: Type.Union([Type.Literal('tagged'), Type.Literal('all')], {
        default: 'tagged',
        description: 'The same of notifications and AWS_KINESISVIDEO_NOTIFICATION.',
      }),
      s3Endpoint: Type.Union([Type.String({ pattern: '^https?://' }), Type.Null()], {
        default: null,
        description: 'Where s3:// leads: an S3-compatible server, addressed in path style.',
      }),
      s3Region: Type.String({ default: 'us-east-1', minLength: 1 }),
      s3AccessKeyId: optionalText('Of the S3-compatible server.'),
      s3SecretAccessKey: optionalText('Of the S3-compatible server.'),
      topics: Type.Array(
        Type.Object(
          {
            arn: Type.String({ pattern: '^arn:[a-z\\d-]+:sns:' }),
            url: Type.String({ pattern: '^https?://' }),
          },
          { additionalProperties: false },
        ),
        { default: [], description: 'URLs that stand for the ARNs of SNS topics.' },
      ),
      secret: Type.Union([Type.String({ pattern: '^whsec_[A-Za-z0-9+/]+={0,2}$' }), Type.Null()], {
        default: null,
        description: 'Signs notifications as hooks are signed; null: they are not.',
      }),
      timeoutMs: Type.Integer({ default: 10_000, minimum: 100, maximum: 60_000 }),
      allowPrivateAddresses: Type.Boolean({
        default: false,
        description:
          'Whether URLs that clients of the API set may lead to this network; s3Endpoint and topics ' +
          'always may.',
      }),
    }),
    notify: section({
      retryDelaysMs: Type.Union(
        [Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 50 }), Type.Null()],
        {
          default: null,
          description:
            'Waits before each further attempt at a delivery, after which it is given up; null: ' +
            '5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.',
        },
      ),
    }),
    hooks: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[a-zA-Z0-9_.-]{1,64}$' }),
          url: Type.String({ pattern: '^https?://' }),
          secret: Type.String({ pattern: '^whsec_[A-Za-z0-9+/]+={0,2}$' }),
          previousSecret: Type.Optional(
            Type.String({
              pattern: '^whsec_[A-Za-z0-9+/]+={0,2}$',
              description: 'Signs too, while receivers change over to the new one.',
            }),
          ),
          labels: Type.Optional(Type.Array(Type.String())),
          streams: Type.Optional(Type.Array(Type.String())),
          minScore: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
          cooldownMs: Type.Optional(Type.Integer({ minimum: 0 })),
          timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 60_000 })),
          allowPrivateAddresses: Type.Optional(Type.Boolean()),
        },
        { additionalProperties: false },
      ),
      { default: [], description: 'Webhooks fired by detections.' },
    ),
  },
  { additionalProperties: false, $id: 'kinora-config', title: 'Kinora configuration' },
)

export type Config = Static<typeof configSchema>

function section<T extends Parameters<typeof Type.Object>[0]>(properties: T) {
  return Type.Object(properties, { additionalProperties: false, default: {} })
}

/** 0 takes any free port: for tests. */
function port(value: number, description: string) {
  return Type.Integer({ default: value, minimum: 0, maximum: 65_535, description })
}

function optionalText(description: string, minLength = 1) {
  return Type.Union([Type.String({ minLength }), Type.Null()], { default: null, description })
}
