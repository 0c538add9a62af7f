import type { AnyDriver } from '@blockloom/block-driver'
import { MAX_IMAGE_SIZE } from '@blockloom/block-driver'
import { allDrivers, backingPath, createImage, openImage, type Secrets } from 'blockloom'
import { exactCount, readCount } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { OptionList } from '../args/keyval.ts'
import { SecretObjects } from '../args/objects.ts'
import type { Command } from '../command.ts'
import { Failure, inContext, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn, type Host } from '../host.ts'
import { creationDriver, creationOptions, hasBacking, targetProtocol, unknownOption } from '../images/creation.ts'
import { formattingLine } from '../output/formatting-line.ts'
import { optionHelp } from '../output/option-help.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'backing-format', short: 'F', argument: true },
  { name: 'backing', short: 'b', argument: true },
  { name: 'format', short: 'f', argument: true },
  { name: 'options', short: 'o', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'unsafe', short: 'u' },
  { name: 'object', long: 'object', argument: true },
] as const

/** `create`: makes an empty image. @internal */
export const create: Command = {
  async run(host, args) {
    const getopt = new Getopt('create', args, SYNTAX)
    const options = new OptionList()
    const objects = new SecretObjects()
    let format = 'raw'
    let backing: string | undefined
    let backingFormat: string | undefined
    let quiet = false
    let unsafe = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'backing') backing = value
      if (name === 'backing-format') backingFormat = value
      if (name === 'options') options.add(value)
      if (name === 'quiet') quiet = true
      if (name === 'unsafe') unsafe = true
    }
    const [filename, sizeText, unexpected] = getopt.operands
    if (options.asksForHelp) {
      const driver = creationDriver(format)
      if (filename !== undefined) requireProtocol(filename, '')
      host.out(optionHelp(driver, filename))
      return 0
    }
    if (filename === undefined) throw new UsageError('Expecting image file name')
    const size = sizeText === undefined ? undefined : exactCount(sizeText, { what: 'image size', warn: (message) => warn(host, message) })
    if (unexpected !== undefined) throw new UsageError(`Unexpected argument: ${unexpected}`)
    try {
      await createOne(host, { filename, format, size, backing, backingFormat, options, secrets: objects.secrets(), quiet, unsafe })
    } catch (error) {
      throw named(filename, error)
    }
    return 0
  },
}

interface Request {
  readonly filename: string
  readonly format: string
  readonly size: bigint | undefined
  readonly backing: string | undefined
  readonly backingFormat: string | undefined
  readonly options: OptionList
  readonly secrets: Secrets
  readonly quiet: boolean
  readonly unsafe: boolean
}

async function createOne(host: Host, request: Request): Promise<void> {
  const { filename } = request
  const driver = creationDriver(request.format)
  requireProtocol(filename, '')
  const values = Object.fromEntries(request.options.values())
  const unknown = unknownOption(creationOptions(driver, targetProtocol(filename)), values)
  if (unknown !== undefined) throw new Failure(`Invalid parameter '${unknown}'`)
  // A check of types; the line itself needs the size of the backing file.
  formattingLine(driver, filename, values)
  if (request.size !== undefined) {
    if (values['size'] !== undefined) throw new Failure('The image size must be specified only once')
    values['size'] = String(request.size)
  }
  setBacking(driver, values, request)
  const backingSize = values['backing_file'] === undefined || request.unsafe ? undefined : await openBacking(filename, values, request.secrets)
  if (values['size'] === undefined && backingSize !== undefined) values['size'] = String(backingSize)
  if (values['size'] === undefined) throw new Failure('Image creation needs a size parameter')
  if (!request.quiet) host.out(formattingLine(driver, filename, values))
  const size = readCount(values['size'])
  if (typeof size === 'string' || size.bytes > BigInt(MAX_IMAGE_SIZE)) throw new Failure(`The image size is too large for file format '${driver.name}'${driver.name === 'qcow2' ? ' (try using a larger cluster size)' : ''}`)
  if (filename === '') throw new Failure("Could not create '': No such file or directory")
  await createImage(filename, { format: driver.name, options: values, size: Number(size.bytes), secrets: request.secrets, onWarning: (message) => warn(host, message) })
}

function setBacking(driver: AnyDriver, values: Record<string, string>, { filename, backing, backingFormat }: Request): void {
  if (backing !== undefined) {
    if (!hasBacking(driver)) throw new Failure(`Backing file not supported for file format '${driver.name}'`)
    values['backing_file'] = backing
  }
  if (backingFormat !== undefined) {
    if (!hasBacking(driver)) throw new Failure(`Backing format not supported for file format '${driver.name}'`)
    values['backing_fmt'] = backingFormat
  }
  if (values['backing_file'] === '') throw new Failure('Expected backing file name, got empty string')
  if (values['backing_file'] === filename) throw new Failure('Error: Trying to create an image with the same filename as the backing file')
}

/** Opens the backing file to see that it is there; returns its size. */
async function openBacking(filename: string, values: Readonly<Record<string, string>>, secrets: Secrets): Promise<number> {
  const name = values['backing_file']!
  const format = values['backing_fmt']
  const hint = 'Could not open backing image.\n'
  const resolved = backingPath(filename, name)
  if (resolved === undefined) throw new Failure(`Cannot use relative paths with '${filename}'`, { hint })
  let guessed: string
  let size: number
  try {
    await using disk = await openImage(resolved, { format: format ?? 'probe', implicit: 'allow', forceShare: true, noIo: true, secrets })
    guessed = disk.format
    size = disk.size
  } catch (error) {
    const failure = inContext('', error)
    throw failure instanceof Failure ? new Failure(failure.message, { hint, cause: error }) : failure
  }
  if (format === undefined) throw new Failure('Backing file specified without backing format', { hint: `Detected format of ${guessed}.` })
  return Math.ceil(size / 512) * 512
}

function requireProtocol(filename: string, context: string): void {
  const prefix = /^[^/:]*:/.exec(filename)?.[0]
  const drivers: readonly AnyDriver[] = allDrivers
  if (prefix === undefined || prefix === 'json:' || drivers.some(({ prefixes }) => prefixes?.includes(prefix))) return
  throw new Failure(`${context}Unknown protocol '${prefix.slice(0, -1)}'`)
}

/** Puts the file's name in front of a message. */
function named(filename: string, error: unknown): unknown {
  const failure = inContext('', error)
  return failure instanceof Failure ? new Failure(`${filename}: ${failure.message}`, { hint: failure.hint, exitCode: failure.exitCode, cause: error }) : failure
}
