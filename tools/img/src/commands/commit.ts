import { isBlockError } from '@blockloom/block-driver'
import { commitImage } from 'blockloom'
import { cacheMode } from '../args/cache-mode.ts'
import { countArgument } from '../args/count.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import { progressStyle } from '../args/progress-style.ts'
import type { Command } from '../command.ts'
import { Failure, inContext, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import { warn } from '../host.ts'
import { openNamed } from '../images/open.ts'
import { createProgress, type ProgressStyle } from '../output/progress.ts'
import { strerror } from '../output/strerror.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'object', long: 'object', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'format', short: 'f', argument: true },
  { name: 'cache', short: 't', argument: true },
  { name: 'base', short: 'b', argument: true },
  { name: 'drop', short: 'd' },
  { name: 'progress', short: 'p' },
  // Ours: in what form.
  { name: 'progress-style', long: 'progress', argument: true },
  { name: 'quiet', short: 'q' },
  { name: 'rate', short: 'r', argument: true },
] as const

/** Least change in per cent that is shown. */
const PROGRESS_STEP = 1

/** `commit`: writes what an overlay has into a layer below it. @internal */
export const commit: Command = {
  async run(host, args) {
    const getopt = new Getopt('commit', args, SYNTAX)
    const objects = new SecretObjects()
    let imageOpts = false
    let format: string | undefined
    let cacheText = 'writeback'
    let base: string | undefined
    let drop = false
    let style: ProgressStyle = 'none'
    let quiet = false
    let rateLimit = 0
    for (const { name, value } of getopt) {
      switch (name) {
        case 'help': return printHelp(host)
        case 'object': objects.add(value); break
        case 'image-opts': imageOpts = true; break
        case 'format': format = value; break
        case 'cache': cacheText = value; break
        case 'base': base = value; break
        case 'drop': drop = true; break
        case 'progress': style = 'text'; break
        case 'progress-style': style = progressStyle(value); break
        case 'quiet': quiet = true; break
        case 'rate': rateLimit = countArgument(value, { what: 'rate limit', warn: (message) => warn(host, message) }); break
      }
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    const text = getopt.operands[0]!
    const cache = cacheMode(cacheText)
    if (cache === undefined) throw new Failure(`Invalid cache option: ${cacheText}`)
    const disk = await openNamed(host, { text, imageOpts, format }, { write: true, unmap: true, cache, secrets: objects.secrets() })
    const progress = createProgress(host, quiet ? 'none' : style, PROGRESS_STEP)
    try {
      await host.interruptible((signal) =>
        commitImage(disk, {
          ...(base === undefined ? {} : { base }),
          empty: base === undefined && !drop,
          rateLimit,
          ...(style === 'none' || quiet ? {} : { onProgress: ({ done, total }) => progress.update(done, total) }),
          signal,
        }),
      )
    } catch (error) {
      throw inWords(error, base, text)
    } finally {
      progress.end()
    }
    if (!quiet) host.out('Image committed.\n')
    return 0
  },
}

/** Errors as the reference words them. */
function inWords(error: unknown, base: string | undefined, text: string): unknown {
  if (!isBlockError(error)) return error
  if (error.detail['option'] === 'base') return new Failure(`Did not find '${base}' in the backing chain of '${text}'`, { cause: error })
  if (error.detail['stage'] === 'copy') return new Failure(`Block job failed: ${strerror(error.errno)}`, { cause: error })
  return inContext('', error)
}
