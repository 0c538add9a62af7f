import { MAX_IMAGE_SIZE, type AnyDriver } from '@blockloom/block-driver'
import { measureImage, openSnapshot, type DiskImage } from 'blockloom'
import { countArgument } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { OptionList } from '../args/keyval.ts'
import { SecretObjects } from '../args/objects.ts'
import { outputFormat } from '../args/output-format.ts'
import type { Command } from '../command.ts'
import { Failure, inContext } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn } from '../host.ts'
import { creationDriver, creationOptions, targetProtocol, unknownOption } from '../images/creation.ts'
import { openNamed } from '../images/open.ts'
import { selectSnapshot, type SnapshotSelection, snapshotSelection } from '../images/snapshot-selection.ts'
import { storedBitmapBytes } from '../images/stored-bitmaps.ts'
import { prettyJson } from '../output/json.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', long: 'source-format', argument: true },
  { name: 'target', short: 'O', long: 'target-format', argument: true },
  { name: 'options', short: 'o', argument: true },
  { name: 'snapshot', short: 'l', argument: true },
  { name: 'size', long: 'size', argument: true },
  { name: 'output', long: 'output', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'object', long: 'object', argument: true },
] as const

/** `measure`: space that a new image will need. @internal */
export const measure: Command = {
  async run(host, args) {
    const getopt = new Getopt('measure', args, SYNTAX)
    const objects = new SecretObjects()
    const options = new OptionList()
    let format: string | undefined
    let target = 'raw'
    let snapshot: SnapshotSelection | undefined
    let size: number | undefined
    let outputText = 'human'
    let imageOpts = false
    let forceShare = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'target') target = value
      if (name === 'options') options.add(value)
      if (name === 'snapshot') snapshot = snapshotSelection(value)
      if (name === 'size') size = countArgument(value, { what: 'image size', warn: (message) => warn(host, message) })
      if (name === 'output') outputText = value
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
    }
    const output = outputFormat(outputText)
    const [filename, ...more] = getopt.operands
    if (more.length > 0) throw new Failure('At most one filename argument is allowed.')
    if (filename === undefined) {
      if (imageOpts || format !== undefined || snapshot !== undefined) throw new Failure('--image-opts, -f, and -l require a filename argument.')
      if (size === undefined) throw new Failure('Either --size N or one filename must be specified.')
    } else if (size !== undefined) {
      throw new Failure('--size N cannot be used together with a filename.')
    }
    await using disk = filename === undefined ? null : await openNamed(host, { text: filename, imageOpts, format }, { forceShare, secrets: objects.secrets() })
    await using atSnapshot = disk === null || snapshot === undefined ? null : await openSelected(disk, snapshot)
    const driver = creationDriver(target)
    if (driver.creation?.measure === undefined) throw new Failure(`Block driver '${target}' does not support size measurement`)
    const values = Object.fromEntries(options.values())
    const schema = creationOptions(driver, targetProtocol(''))
    const unknown = unknownOption(schema, values)
    if (unknown !== undefined) {
      throw new Failure(`Invalid parameter '${unknown}'`, { hint: { line: `Invalid options for file format '${target}'` } })
    }
    if (size !== undefined && size > MAX_IMAGE_SIZE) throw new Failure('The image size is too large (try using a larger cluster size)')
    const source = (atSnapshot ?? disk)?.node ?? size!
    const measured = await measureImage({ format: target, options: formatOptions(driver, values), source }).catch((error: unknown) => {
      throw inContext('', error)
    })
    const bitmaps = measured.bitmaps ?? (disk === null ? undefined : await storedBitmapBytes(disk, driver, values))
    if (output === 'json') {
      host.out(`${prettyJson({ bitmaps, required: measured.required, 'fully-allocated': measured.fullyAllocated })}\n`)
    } else {
      host.out(`required size: ${measured.required}\nfully allocated size: ${measured.fullyAllocated}\n`)
      if (bitmaps !== undefined) host.out(`bitmaps size: ${bitmaps}\n`)
    }
    return 0
  },
}

/** Without what is the file's alone: it makes no difference to the space that is needed. */
function formatOptions(driver: AnyDriver, values: Readonly<Record<string, string>>): Record<string, string> {
  const own = driver.creation?.options ?? {}
  return Object.fromEntries(Object.entries(values).filter(([name]) => unknownOption(own, { [name]: '' }) === undefined))
}

async function openSelected(disk: DiskImage, selection: SnapshotSelection): Promise<DiskImage> {
  try {
    return await openSnapshot(disk, selectSnapshot(disk, selection))
  } catch (error) {
    throw inContext('Failed to load snapshot: ', error)
  }
}
