import type { Preallocation } from '@blockloom/block-driver'
import { MAX_IMAGE_SIZE } from '@blockloom/block-driver'
import { readCount } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import type { Command } from '../command.ts'
import { Failure, inContext, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { report, warn, type Host } from '../host.ts'
import { openNamed } from '../images/open.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'preallocation', long: 'preallocation', argument: true },
  { name: 'shrink', long: 'shrink' },
  { name: 'object', long: 'object', argument: true },
] as const

const PREALLOCATIONS: readonly string[] = ['off', 'metadata', 'falloc', 'full']

/** `resize`: changes the size of the disk. @internal */
export const resize: Command = {
  async run(host, args) {
    if (args.length === 1 && ['-h', '--help'].includes(args[0]!)) return printHelp(host)
    // The size comes last, and may begin with a dash.
    if (args.length < 2) throw new UsageError('Not enough arguments')
    const getopt = new Getopt('resize', args.slice(0, -1), SYNTAX)
    const objects = new SecretObjects()
    let format: string | undefined
    let preallocation: Preallocation = 'off'
    let quiet = false
    let imageOpts = false
    let shrink = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'quiet') quiet = true
      if (name === 'image-opts') imageOpts = true
      if (name === 'shrink') shrink = true
      if (name === 'preallocation') {
        if (!PREALLOCATIONS.includes(value)) throw new Failure(`Invalid preallocation mode '${value}'`)
        preallocation = value as Preallocation
      }
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting image file name and size')
    const { sign, bytes } = readSize(host, args.at(-1)!)
    await using disk = await openNamed(host, { text: getopt.operands[0]!, imageOpts, format }, { write: true, unmap: true, secrets: objects.secrets() })
    const current = disk.size
    const size = sign === 0 ? bytes : current + sign * bytes
    if (size <= 0) throw new Failure('New image size must be positive')
    if (size <= current && preallocation !== 'off') throw new Failure('Preallocation can only be used for growing images')
    if (size < current && !shrink) {
      report(host, 'Use the --shrink option to perform a shrink operation.')
      warn(host, "Shrinking an image will delete all data beyond the shrunken image's end. Before performing such an operation, make sure there is no important data there.")
      return 1
    }
    await disk.resize(Math.ceil(size / 512) * 512, { preallocation }).catch((error: unknown) => {
      throw inContext('', error)
    })
    await disk.flush()
    if (!quiet) host.out('Image resized.\n')
    return 0
  },
}

function readSize(host: Host, text: string): { sign: -1 | 0 | 1; bytes: number } {
  const sign = text.startsWith('+') ? 1 : text.startsWith('-') ? -1 : 0
  const digits = sign === 0 ? text : text.slice(1)
  const count = readCount(digits)
  if (count === 'malformed') {
    throw new Failure("Parameter 'size' expects a non-negative number below 2^64", {
      hint: 'Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.\n',
    })
  }
  if (count === 'too large') throw new Failure(`Value '${digits}' is out of range for parameter 'size'`)
  if (count.deprecated) warn(host, `Using a multiplier suffix on hex numbers is deprecated: ${digits}`)
  return { sign, bytes: count.bytes > BigInt(MAX_IMAGE_SIZE) ? MAX_IMAGE_SIZE + 1 : Number(count.bytes) }
}
