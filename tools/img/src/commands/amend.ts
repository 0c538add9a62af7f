import { BlockError, isBlockError, parseOptions, type AnyDriver, type OptionsSchema } from '@blockloom/block-driver'
import { allDrivers, type DiskImage, type Secrets } from 'blockloom'
import { cacheMode } from '../args/cache-mode.ts'
import { Getopt } from '../args/getopt.ts'
import { OptionList } from '../args/keyval.ts'
import { SecretObjects } from '../args/objects.ts'
import { progressStyle } from '../args/progress-style.ts'
import type { Command } from '../command.ts'
import { Failure, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import type { Host } from '../host.ts'
import { openNamed } from '../images/open.ts'
import { amendHelp } from '../output/option-help.ts'
import { createProgress, type Progress, type ProgressStyle } from '../output/progress.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'object', long: 'object', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'options', short: 'o', argument: true },
  { name: 'format', short: 'f', argument: true },
  { name: 'cache', short: 't', argument: true },
  { name: 'progress', short: 'p' },
  // Ours: in what form.
  { name: 'progress-style', long: 'progress', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'force', long: 'force' },
] as const

/** Least change in per cent that is shown. */
const PROGRESS_STEP = 1

/** `amend`: changes creation options of an image. @internal */
export const amend: Command = {
  async run(host, args) {
    const getopt = new Getopt('amend', args, SYNTAX)
    const objects = new SecretObjects()
    const options = new OptionList()
    let imageOpts = false
    let format: string | undefined
    let cacheText = 'writeback'
    let style: ProgressStyle = 'none'
    let quiet = false
    let force = false
    for (const { name, value } of getopt) {
      switch (name) {
        case 'help': return printHelp(host)
        case 'object': objects.add(value); break
        case 'image-opts': imageOpts = true; break
        case 'options': options.add(value); break
        case 'format': format = value; break
        case 'cache': cacheText = value; break
        case 'progress': style = 'text'; break
        case 'progress-style': style = progressStyle(value); break
        case 'quiet': quiet = true; break
        case 'force': force = true; break
      }
    }
    if (!options.given) throw new UsageError('Must specify options (-o)')
    const progress = createProgress(host, quiet ? 'none' : style, PROGRESS_STEP)
    try {
      await amendOne(host, { names: getopt.operands, imageOpts, format, options, cacheText, secrets: objects.secrets(), force, isPlain: style === 'text' && host.columns === undefined }, progress)
    } finally {
      progress.end()
    }
    return 0
  },
}

interface Request {
  readonly names: readonly string[]
  readonly imageOpts: boolean
  readonly format: string | undefined
  readonly options: OptionList
  readonly cacheText: string
  readonly secrets: Secrets
  readonly force: boolean
  /** Progress is shown as the reference shows it. */
  readonly isPlain: boolean
}

async function amendOne(host: Host, request: Request, progress: Progress): Promise<void> {
  const { names, imageOpts, format, options, cacheText, secrets } = request
  if (format !== undefined && options.asksForHelp) {
    host.out(amendHelp(driverNamed(format)))
    return
  }
  if (names.length !== 1) throw new Failure('Expecting one image file name')
  const cache = cacheMode(cacheText)
  if (cache === undefined) throw new Failure(`Invalid cache option: ${cacheText}`)
  await using disk = await openNamed(host, { text: names[0]!, imageOpts, format }, { write: true, cache, secrets })
  const driver = driverNamed(disk.format)
  if (options.asksForHelp) {
    host.out(amendHelp(driver))
    return
  }
  const values = parseInOrder(driver, amendable(driver), options.values())
  await amendShowing(disk, values, request, progress)
}

function driverNamed(format: string): AnyDriver {
  const drivers: readonly AnyDriver[] = allDrivers
  const driver = drivers.find(({ name }) => name === format)
  if (driver === undefined) throw new Failure(`Unknown file format '${format}'`)
  amendable(driver)
  return driver
}

function amendable(driver: AnyDriver): OptionsSchema {
  const schema = driver.creation?.amend
  if (schema === undefined) throw new Failure(`Format driver '${driver.name}' does not support option amendment`)
  return schema
}

/** Parses options; the first bad one in the order of the command line is told. */
function parseInOrder(driver: AnyDriver, schema: OptionsSchema, values: ReadonlyMap<string, string>): Readonly<Record<string, unknown>> {
  try {
    for (const [name, value] of values) parseOptions(schema, { [name]: value })
    return parseOptions(schema, Object.fromEntries(values))
  } catch (error) {
    if (!isBlockError(error)) throw error
    const wouldCreate = [...values].every(([name, value]) => isAccepted(schema, name, value) || isAccepted(driver.creation!.options, name, value))
    throw new Failure(error.message, { cause: error, ...(wouldCreate && { hint: 'This option is only supported for image creation\n' }) })
  }
}

function isAccepted(schema: OptionsSchema, name: string, value: string): boolean {
  const head = Object.hasOwn(schema, name) ? name : name.split('.')[0]!
  const field = Object.hasOwn(schema, head) ? schema[head]! : undefined
  if (field === undefined) return false
  // The reference does not look at the values of choices that early.
  if (field.type === 'choice') return true
  try {
    parseOptions({ [head]: { ...field, presence: 'optional' } }, { [name]: value })
    return true
  } catch {
    return false
  }
}

async function amendShowing(disk: DiskImage, values: Readonly<Record<string, unknown>>, { force, isPlain }: Request, progress: Progress): Promise<void> {
  const facet = disk.node.amend
  if (facet === undefined) throw new Failure('The image cannot be changed')
  progress.update(0, 1)
  try {
    await facet.amend(values, { force, progress: (done, total) => progress.update(done, total) })
    progress.update(1, 1)
  } catch (error) {
    // As the reference, whatever has become of it.
    if (isPlain) progress.update(1, 1)
    throw explained(error)
  }
}

function explained(error: unknown): unknown {
  if (!isBlockError(error)) return error
  return new Failure(error.message, { cause: error, ...(isAboutBacking(error) && { hint: "You can use 'qemu-img rebase' instead.\n" }) })
}

function isAboutBacking({ code, detail }: BlockError): boolean {
  return code === 'invalid' && (detail['option'] === 'backing_file' || detail['option'] === 'backing_fmt')
}
