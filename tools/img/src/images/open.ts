import { openImage, type DiskImage, type Secrets } from 'blockloom'
import type { CacheMode } from '../args/cache-mode.ts'
import { imageOptionsName } from '../args/image-opts.ts'
import { Failure, inContext } from '../failure.ts'
import { warn, type Host } from '../host.ts'

/** An image that a command line names. @internal */
export interface ImageName {
  readonly text: string
  /** `text` is a list of options, not a file name. */
  readonly imageOpts?: boolean
  /** Absent: guess. */
  readonly format?: string | undefined
}

/** @internal */
export interface OpenHow {
  readonly write?: boolean
  readonly forceShare?: boolean
  readonly noIo?: boolean
  readonly noBacking?: boolean
  readonly forCheck?: boolean
  readonly unmap?: boolean
  readonly cache?: CacheMode
  /** Options of the image's driver. */
  readonly options?: Readonly<Record<string, unknown>>
  readonly secrets?: Secrets
  readonly exitCode?: number
  readonly signal?: AbortSignal
}

/**
 * Opens an image as the reference does: files that it names are opened too, and formats that nobody says are guessed.
 *
 * @throws Failure `Could not open '...'`
 * @internal
 */
export async function openNamed(host: Host, name: ImageName, how: OpenHow = {}): Promise<DiskImage> {
  const { exitCode = 1, cache, ...open } = how
  try {
    if (name.imageOpts && name.format !== undefined) throw new Failure('--image-opts and --format are mutually exclusive', { exitCode })
    const disk = await openImage(nameToOpen(host, name), {
      ...open,
      format: name.format ?? 'probe',
      implicit: 'allow',
      onWarning: (message) => warn(host, message),
      ...(cache === undefined ? {} : { cache: { direct: cache.direct, 'no-flush': cache['no-flush'] } }),
    })
    warnOfProbing(host, disk)
    return disk
  } catch (error) {
    throw inContext(`Could not open '${name.text}': `, error, exitCode)
  }
}

function nameToOpen(host: Host, { text, imageOpts }: ImageName): string {
  if (!imageOpts) return text
  if (!/^[^,]*=/.test(text)) throw new Failure(`Could not open '${text}': Cannot find device='${text}' nor node-name='${text}'`)
  return imageOptionsName(text, (message) => warn(host, message))
}

/** A guest that wrote another format's header into a raw disk would choose what it is taken for next time. */
function warnOfProbing(host: Host, disk: DiskImage): void {
  if (!disk.node.settings.probed || disk.format !== 'raw' || disk.readOnly) return
  host.err(
    `WARNING: Image format was not specified for '${disk.filename}' and probing guessed raw.\n` +
      '         Automatically detecting the format is dangerous for raw images, write operations on block 0 will be restricted.\n' +
      "         Specify the 'raw' format explicitly to remove the restrictions.\n",
  )
}
