import { cacheMode } from '../args/cache-mode.ts'
import { countArgument, plainNumber } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { OptionList } from '../args/keyval.ts'
import { SecretObjects } from '../args/objects.ts'
import { progressStyle } from '../args/progress-style.ts'
import type { Command } from '../command.ts'
import { Failure } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn, type Host } from '../host.ts'
import { convertImages, type Conversion } from '../convert/convert-images.ts'
import { creationDriver } from '../images/creation.ts'
import { snapshotSelection, type SnapshotSelection } from '../images/snapshot-selection.ts'
import { optionHelp } from '../output/option-help.ts'
import type { ProgressStyle } from '../output/progress.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', argument: true },
  { name: 'source-cache', short: 'T', argument: true },
  { name: 'target-format', short: 'O', argument: true },
  { name: 'backing', short: 'B', argument: true },
  { name: 'backing-format', short: 'F', argument: true },
  { name: 'compress', short: 'c' },
  { name: 'options', short: 'o', argument: true },
  { name: 'snapshot', short: 'l', argument: true },
  { name: 'sparse', short: 'S', argument: true },
  { name: 'progress', short: 'p' },
  // Ours: in what form.
  { name: 'progress-style', long: 'progress', argument: true },
  { name: 'cache', short: 't', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'no-create', short: 'n' },
  { name: 'parallel', short: 'm', argument: true },
  { name: 'out-of-order', short: 'W' },
  { name: 'rate', short: 'r', argument: true },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'target-image-opts', long: 'target-image-opts' },
  { name: 'target-is-zero', long: 'target-is-zero' },
  { name: 'salvage', long: 'salvage' },
  { name: 'bitmaps', long: 'bitmaps' },
  { name: 'skip-broken', long: 'skip-broken-bitmaps' },
  { name: 'object', long: 'object', argument: true },
] as const

const MAX_SPARSE = 16 << 20

/** `convert`: copies images into a new one. @internal */
export const convert: Command = {
  async run(host, args) {
    const parsed = parse(host, args)
    if (parsed === 'help') return printHelp(host)
    const { options, targetFormat, names } = parsed
    if (options.asksForHelp) {
      host.out(optionHelp(creationDriver(targetFormat ?? 'raw'), names.length > 1 ? names.at(-1) : undefined))
      return 0
    }
    await convertImages(host, checked(parsed))
    return 0
  },
}

interface Parsed {
  format: string | undefined
  targetFormat: string | undefined
  backing: string | undefined
  backingFormat: string | undefined
  compress: boolean
  readonly options: OptionList
  readonly objects: SecretObjects
  snapshot: SnapshotSelection | undefined
  sparse: number | undefined
  progress: ProgressStyle
  cacheText: string
  sourceCacheText: string
  quiet: boolean
  noCreate: boolean
  parallel: number
  outOfOrder: boolean
  rateLimit: number
  forceShare: boolean
  imageOpts: boolean
  targetImageOpts: boolean
  targetIsZero: boolean
  salvage: boolean
  copyBitmaps: boolean
  skipBroken: boolean
  names: readonly string[]
}

function parse(host: Host, args: readonly string[]): Parsed | 'help' {
  const getopt = new Getopt('convert', args, SYNTAX)
  const say = (message: string): void => warn(host, message)
  const p: Parsed = {
    format: undefined, targetFormat: undefined, backing: undefined, backingFormat: undefined, compress: false, options: new OptionList(), objects: new SecretObjects(),
    snapshot: undefined, sparse: undefined, progress: 'none', cacheText: 'unsafe', sourceCacheText: 'writeback', quiet: false,
    noCreate: false, parallel: 8, outOfOrder: false, rateLimit: 0, forceShare: false, imageOpts: false, targetImageOpts: false,
    targetIsZero: false, salvage: false, copyBitmaps: false, skipBroken: false, names: [],
  }
  for (const { name, value } of getopt) {
    switch (name) {
      case 'help': return 'help'
      case 'format': p.format = value; break
      case 'source-cache': p.sourceCacheText = value; break
      case 'target-format': p.targetFormat = value; break
      case 'backing': p.backing = value; break
      case 'backing-format': p.backingFormat = value; break
      case 'compress': p.compress = true; break
      case 'options': p.options.add(value); break
      case 'object': p.objects.add(value); break
      case 'snapshot': p.snapshot = snapshotSelection(value); break
      case 'sparse': p.sparse = sparseSize(value, say); break
      case 'progress': p.progress = 'text'; break
      case 'progress-style': p.progress = progressStyle(value); break
      case 'cache': p.cacheText = value; break
      case 'quiet': p.quiet = true; break
      case 'no-create': p.noCreate = true; break
      case 'parallel': p.parallel = parallel(value); break
      case 'out-of-order': p.outOfOrder = true; break
      case 'rate': p.rateLimit = countArgument(value, { what: 'rate limit', warn: say }); break
      case 'force-share': p.forceShare = true; break
      case 'image-opts': p.imageOpts = true; break
      case 'target-image-opts': p.targetImageOpts = true; break
      case 'target-is-zero': p.targetIsZero = true; break
      case 'salvage': p.salvage = true; break
      case 'bitmaps': p.copyBitmaps = true; break
      case 'skip-broken': p.skipBroken = true; break
    }
  }
  p.names = getopt.operands
  if (p.skipBroken && !p.copyBitmaps) throw new Failure('Use of --skip-broken-bitmaps requires --bitmaps')
  return p
}

function sparseSize(value: string, say: (message: string) => void): number {
  const size = countArgument(value, { what: 'buffer size for sparse output', warn: say })
  if (size % 512 === 0 && size <= MAX_SPARSE) return size
  throw new Failure(
    `Invalid buffer size for sparse output specified. Valid sizes are multiples of 512 up to ${MAX_SPARSE}. Select 0 to disable sparse detection (fully allocates output).`,
  )
}

function parallel(value: string): number {
  const complaint = 'Invalid number of coroutines. Allowed number of coroutines is between 1 and 16'
  const count = plainNumber(value, complaint, 16)
  if (count < 1) throw new Failure(complaint)
  return count
}

/** Checks options against each other, before anything is opened. */
function checked(p: Parsed): Conversion {
  if (p.names.length < 2) throw new Failure('Must specify image file name')
  if (p.targetImageOpts && !p.noCreate) throw new Failure('--target-image-opts requires use of -n flag')
  if (p.targetIsZero && !p.noCreate) throw new Failure('--target-is-zero requires use of -n flag')
  if (p.noCreate && p.options.given) throw new Failure('-o has no effect when skipping image creation')
  if (p.imageOpts && p.format !== undefined) throw new Failure('--image-opts and --format are mutually exclusive')
  const sources = p.names.slice(0, -1)
  if (p.snapshot !== undefined && sources.length > 1) throw new Failure('No support for concatenating multiple snapshot')
  const sourceCache = cacheMode(p.sourceCacheText)
  if (sourceCache === undefined) throw new Failure(`Invalid source cache option: ${p.sourceCacheText}`)
  const cache = cacheMode(p.cacheText)
  if (cache === undefined) throw new Failure(`Invalid cache option: ${p.cacheText}`)
  return {
    ...p,
    sources: sources.map((text) => ({ text, imageOpts: p.imageOpts, format: p.format })),
    target: p.names.at(-1)!,
    values: Object.fromEntries(p.options.values()),
    secrets: p.objects.secrets(),
    sourceCache,
    cache,
    sparse: p.sparse ?? 4096,
    bitmaps: p.copyBitmaps ? { skipBroken: p.skipBroken } : undefined,
    progress: p.quiet ? 'none' : p.progress,
  }
}
