import { isBlockError } from '@blockloom/block-driver'
import { allDrivers, backingPath, openImage, rebaseImage, type DiskImage, type RebaseOptions, type Secrets } from 'blockloom'
import { cacheMode, type CacheMode } from '../args/cache-mode.ts'
import { Getopt } from '../args/getopt.ts'
import { SecretObjects } from '../args/objects.ts'
import { progressStyle } from '../args/progress-style.ts'
import type { Command } from '../command.ts'
import { Failure, inContext, UsageError } from '../failure.ts'
import { printHelp } from '../help.ts'
import type { Host } from '../host.ts'
import { openNamed } from '../images/open.ts'
import { createProgress, type ProgressStyle } from '../output/progress.ts'
import { strerror } from '../output/strerror.ts'

const SYNTAX = [
  { name: 'help', short: 'h', long: 'help' },
  { name: 'object', long: 'object', argument: true },
  { name: 'image-opts', long: 'image-opts' },
  { name: 'force-share', short: 'U', long: 'force-share' },
  { name: 'format', short: 'f', argument: true },
  { name: 'backing-format', short: 'F', argument: true },
  { name: 'backing', short: 'b', argument: true },
  { name: 'unsafe', short: 'u' },
  { name: 'progress', short: 'p' },
  // Ours: in what form.
  { name: 'progress-style', long: 'progress', argument: true },
  { name: 'cache', short: 't', argument: true },
  { name: 'source-cache', short: 'T', argument: true },
  { name: 'quiet', short: 'q' },
  // Of later versions of the reference.
  { name: 'compress', short: 'c', long: 'compress' },
] as const

/** Least change in per cent that is shown. */
const PROGRESS_STEP = 1

/** `rebase`: puts an image on another backing file. @internal */
export const rebase: Command = {
  async run(host, args) {
    const getopt = new Getopt('rebase', args, SYNTAX)
    const objects = new SecretObjects()
    let imageOpts = false
    let forceShare = false
    let format: string | undefined
    let backingFormat: string | undefined
    let backing: string | undefined
    let unsafe = false
    let style: ProgressStyle = 'none'
    let cacheText = 'writeback'
    let sourceCacheText = 'writeback'
    let quiet = false
    let compress = false
    for (const { name, value } of getopt) {
      switch (name) {
        case 'help': return printHelp(host)
        case 'object': objects.add(value); break
        case 'image-opts': imageOpts = true; break
        case 'force-share': forceShare = true; break
        case 'format': format = value; break
        case 'backing-format': backingFormat = value; break
        case 'backing': backing = value; break
        case 'unsafe': unsafe = true; break
        case 'progress': style = 'text'; break
        case 'progress-style': style = progressStyle(value); break
        case 'cache': cacheText = value; break
        case 'source-cache': sourceCacheText = value; break
        case 'quiet': quiet = true; break
        case 'compress': compress = true; break
      }
    }
    if (getopt.operands.length !== 1) throw new UsageError('Expecting one image file name')
    if (!unsafe && backing === undefined) throw new UsageError('Must specify backing file (-b) or use unsafe mode (-u)')
    const text = getopt.operands[0]!
    const cache = cacheMode(cacheText)
    if (cache === undefined) throw new Failure(`Invalid cache option: ${cacheText}`)
    const sourceCache = cacheMode(sourceCacheText)
    if (sourceCache === undefined) throw new Failure(`Invalid source cache option: ${sourceCacheText}`)
    const secrets = objects.secrets()
    const disk = await openNamed(host, { text, imageOpts, format }, { write: true, noBacking: unsafe, cache, secrets })
    try {
      if (backingFormat !== undefined && !allDrivers.some(({ name }) => name === backingFormat)) throw new Failure(`Invalid format name: '${backingFormat}'`)
      const filename = backing === '' ? undefined : backing
      if (filename !== undefined && backingFormat === undefined && !unsafe) await tryToOpen(disk, filename, { forceShare, cache: sourceCache, secrets })
      await rebaseOpened(host, disk, quiet ? 'none' : style, {
        backing: filename === undefined ? null : { filename, ...(backingFormat === undefined ? {} : { format: backingFormat }) },
        unsafe,
        compress,
        forceShare,
        cache: { direct: sourceCache.direct, 'no-flush': sourceCache['no-flush'] },
      })
    } catch (error) {
      // What failed once fails again.
      await disk.close().catch(() => undefined)
      throw inWords(error, backing)
    }
    await disk.close()
    return 0
  },
}

async function rebaseOpened(host: Host, disk: DiskImage, style: ProgressStyle, options: RebaseOptions): Promise<void> {
  const progress = createProgress(host, style, PROGRESS_STEP)
  try {
    await host.interruptible((signal) => rebaseImage(disk, { ...options, onProgress: ({ done, total }) => progress.update(done, total), signal }))
    progress.update(1, 1)
  } finally {
    progress.end()
  }
}

/** That it does not open is a greater mistake than that its format was not given. */
async function tryToOpen(disk: DiskImage, filename: string, how: { readonly forceShare: boolean; readonly cache: CacheMode; readonly secrets: Secrets }): Promise<void> {
  const { forceShare, cache, secrets } = how
  try {
    const opened = await openImage(backingPath(disk.filename, filename) ?? filename, {
      format: 'probe', implicit: 'allow', forceShare, secrets, cache: { direct: cache.direct, 'no-flush': cache['no-flush'] },
    })
    await opened.close()
  } catch (error) {
    throw inContext(`Could not open new backing file '${filename}': `, error)
  }
}

/** Errors as the reference words them. */
function inWords(error: unknown, backing: string | undefined): unknown {
  if (!isBlockError(error)) return error
  switch (error.detail['stage']) {
    case 'old': return new Failure('error while reading from old backing file', { cause: error })
    case 'new': return new Failure('error while reading from new backing file', { cause: error })
    case 'overlay': return new Failure(`Error while writing to COW image: ${strerror(error.errno)}`, { cause: error })
    case 'header': return new Failure(`Could not change the backing file to '${backing ?? '(null)'}': ${whyNot(error.errno, error.message)}`, { cause: error })
    default: return inContext('', error)
  }
}

function whyNot(errno: string, message: string): string {
  if (errno === 'ENOSPC') return 'No space left in the file header'
  const withoutFormat = 'backing format must be specified'
  return message.endsWith(withoutFormat) ? withoutFormat : strerror(errno)
}
