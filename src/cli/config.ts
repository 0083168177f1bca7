import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { configSchema } from '../config/index.ts'
import { maskUrl } from '../domain/source-url.ts'
import { openCredentials } from '../registry/index.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'

/** `kinora config`: look at the settings without starting anything. */
export const configCommand: Command = {
  name: 'config',
  summary: 'check or print the configuration, its schema, the access key',
  help: `  kinora config check         say whether the configuration is valid
  kinora config print         print every setting in force as YAML, secrets left out
  kinora config schema        print the JSON Schema of the configuration file
  kinora config credentials   print the access key for the AWS-compatible APIs

Options
  -c, --config FILE   configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)

Every setting can be given in the environment: http.port as KINORA_HTTP__PORT, a value from a file
as KINORA_AUTH__ADMIN_TOKEN_FILE.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({ args: [...args], options: CONFIG_OPTION, allowPositionals: true }),
    )
    const action = positionals.join(' ')
    if (action === 'schema') {
      console.log(JSON.stringify(configSchema, null, 2))
      return
    }
    const config = readConfig(values.config)
    switch (action) {
      case 'check':
        console.log('The configuration is valid.')
        return
      case 'print':
        console.log(stringify(config, hideSecrets))
        return
      case 'credentials': {
        const [configured] = config.auth.accessKeys
        const key = configured ?? (await openCredentials(config.dataDirectory))
        console.log(`AWS_ACCESS_KEY_ID=${key.accessKeyId}`)
        console.log(`AWS_SECRET_ACCESS_KEY=${key.secretAccessKey}`)
        console.log(`AWS_REGION=${config.aws.region}`)
        return
      }
      default:
        throw new UsageError(action === '' ? 'give an action' : `no such action: ${action}`)
    }
  },
}

const SECRETS = new Set(
  'adminToken secretAccessKey secret previousSecret publishKey password value'.split(' '),
)

function hideSecrets(key: unknown, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (key === 'url') return maskUrl(value)
  return SECRETS.has(String(key)) ? '(set)' : value
}
