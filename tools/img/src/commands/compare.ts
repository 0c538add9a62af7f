import { compareImages, type CompareResult } from 'blockloom'
import { cacheMode } from '../args/cache-mode.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import type { Command } from '../command.ts'
import { Failure, inContext, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { openNamed } from '../images/open.ts'
import { createProgress } from '../output/progress.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'format', short: 'f', argument: true },
  { name: 'format2', short: 'F', argument: true },
  { name: 'cache', short: 'T', argument: true },
  { name: 'progress', short: 'p' },
  { name: 'quiet', short: 'q' },
  { name: 'strict', short: 's' },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'object', long: 'object', argument: true },
] as const

/** Images that cannot be opened or read. */
const FAILED = 2

/** Least change in per cent that is shown. */
const PROGRESS_STEP = 2

/** `compare`: do two images read the same? Exit codes: 0 yes, 1 no, 2 and more a failure. @internal */
export const compare: Command = {
  async run(host, args) {
    const getopt = new Getopt('compare', args, SYNTAX)
    const objects = new SecretObjects(FAILED)
    let format: string | undefined
    let format2: string | undefined
    let cacheText = 'writeback'
    let progressWanted = false
    let quiet = false
    let strict = false
    let imageOpts = false
    let forceShare = false
    for (const { name, value } of getopt) {
      if (name === 'help') return printHelp(host)
      if (name === 'object') objects.add(value)
      if (name === 'format') format = value
      if (name === 'format2') format2 = value
      if (name === 'cache') cacheText = value
      if (name === 'progress') progressWanted = true
      if (name === 'quiet') quiet = true
      if (name === 'strict') strict = true
      if (name === 'image-opts') imageOpts = true
      if (name === 'force-share') forceShare = true
    }
    const [first, second, ...more] = getopt.operands
    if (first === undefined || second === undefined || more.length > 0) throw new UsageError('Expecting two image file names')
    const cache = cacheMode(cacheText)
    if (cache === undefined) throw new Failure(`Invalid source cache option: ${cacheText}`, { exitCode: FAILED })
    const say = (line: string): void => {
      if (!quiet) host.out(`${line}\n`)
    }
    const how = { forceShare, cache, secrets: objects.secrets(), exitCode: FAILED }
    await using a = await openNamed(host, { text: first, imageOpts, format }, how)
    await using b = await openNamed(host, { text: second, imageOpts, format: format2 }, how)
    const progress = createProgress(host, progressWanted && !quiet ? 'text' : 'none', PROGRESS_STEP)
    try {
      const result = await compareImages(a.node, b.node, {
        strict,
        onProgress: ({ done, total }) => progress.update(done, total),
        onSizeMismatch: () => say('Warning: Image size mismatch!'),
      })
      say(verdict(result))
      return result.identical ? 0 : 1
    } catch (error) {
      throw inContext('Error while comparing: ', error, FAILED)
    } finally {
      progress.end()
    }
  },
}

function verdict(result: CompareResult): string {
  if (result.identical) return 'Images are identical.'
  if (result.reason === 'size') return 'Strict mode: Image size mismatch!'
  if (result.reason === 'status') return `Strict mode: Offset ${result.offset} block status mismatch!`
  return `Content mismatch at offset ${result.offset}!`
}
