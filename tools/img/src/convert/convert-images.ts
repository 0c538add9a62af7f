import { existsSync, rmSync } from 'node:fs'
import { isBlockError, type AnyDriver } from '@blockloom/block-driver'
import { copyImage, createImage, keySecretOptions, openSnapshot, type DiskImage, type Secrets } from 'blockloom'
import type { CacheMode } from '../args/cache-mode.ts'
import { Failure, inContext } from '../failure.ts'
import { warn, type Host } from '../host.ts'
import { creationDriver, creationOptions, hasBacking, targetProtocol, unknownOption } from '../images/creation.ts'
import { openNamed, type ImageName } from '../images/open.ts'
import { selectSnapshot, type SnapshotSelection } from '../images/snapshot-selection.ts'
import { createProgress, type ProgressStyle } from '../output/progress.ts'
import { strerror } from '../output/strerror.ts'
import { checkSourceBitmaps, checkTargetBitmaps, copySourceBitmaps, type BitmapWish } from './bitmaps.ts'

/** What `convert` was asked to do, checked as far as that goes without opening anything. @internal */
export interface Conversion {
  readonly sources: readonly ImageName[]
  readonly target: string
  readonly targetFormat: string | undefined
  readonly targetImageOpts: boolean
  readonly targetIsZero: boolean
  /** The target exists and is written over. */
  readonly noCreate: boolean
  /** Creation options. */
  readonly values: Record<string, string>
  readonly secrets: Secrets
  readonly backing: string | undefined
  readonly backingFormat: string | undefined
  readonly snapshot: SnapshotSelection | undefined
  readonly bitmaps: BitmapWish | undefined
  readonly compress: boolean
  readonly sparse: number
  readonly parallel: number
  readonly outOfOrder: boolean
  readonly rateLimit: number
  readonly salvage: boolean
  readonly forceShare: boolean
  readonly cache: CacheMode
  readonly sourceCache: CacheMode
  readonly progress: ProgressStyle
}

/** Least change in per cent that is shown. */
const PROGRESS_STEP = 1

/** Formats that can store clusters compressed. */
const COMPRESSING: readonly string[] = ['qcow2']

/**
 * Copies. If it fails or is interrupted, a target file that this call made is removed.
 *
 * @internal
 */
export async function convertImages(host: Host, conversion: Conversion): Promise<void> {
  const opened: DiskImage[] = []
  try {
    for (const name of conversion.sources) opened.push(await openNamed(host, name, { forceShare: conversion.forceShare, cache: conversion.sourceCache, secrets: conversion.secrets }))
    if (conversion.snapshot === undefined) {
      await convertOpened(host, opened, opened, conversion)
    } else {
      await using snapshot = await atSnapshot(opened[0]!, conversion.snapshot)
      await convertOpened(host, [snapshot], opened, conversion)
    }
  } finally {
    await Promise.allSettled(opened.map((image) => image.close()))
  }
}

/** @param images - what `sources` are, or are snapshots of: bitmaps are theirs */
async function convertOpened(host: Host, sources: readonly DiskImage[], images: readonly DiskImage[], conversion: Conversion): Promise<void> {
  const size = sources.reduce((sum, { size: bytes }) => sum + Math.ceil(bytes / 512) * 512, 0)
  const driver = conversion.noCreate ? null : creationDriver(conversion.targetFormat ?? 'raw')
  if (driver !== null) prepareOptions(driver, conversion)
  if (conversion.bitmaps !== undefined) await checkSourceBitmaps(images, conversion.bitmaps)
  await host.interruptible(async (signal) => {
    const made = newFiles(conversion)
    try {
      if (driver !== null) await createTarget(host, driver, conversion, size, signal)
      await copyTo(host, sources, images[0]!, size, conversion, signal)
    } catch (error) {
      for (const path of made) rmSync(path, { force: true })
      throw error
    }
  })
}

/** Files that will be made: those that are there already are not ours to remove. */
function newFiles({ noCreate, target, values }: Conversion): string[] {
  if (noCreate) return []
  return [target, values['data_file'] ?? '']
    .map((name) => (name.startsWith('file:') ? name.slice('file:'.length) : name))
    .filter((path) => path !== '' && !/^[^/:]*:/.test(path) && !existsSync(path))
}

async function atSnapshot(image: DiskImage, selection: SnapshotSelection): Promise<DiskImage> {
  try {
    return await openSnapshot(image, selectSnapshot(image, selection))
  } catch (error) {
    throw inContext('Failed to load snapshot: ', error)
  }
}

/** Checks creation options, and completes them with the backing file. */
function prepareOptions(driver: AnyDriver, conversion: Conversion): void {
  const { values, backing, backingFormat, compress, sources } = conversion
  const unknown = unknownOption(creationOptions(driver, targetProtocol(conversion.target)), values)
  if (unknown !== undefined) throw new Failure(`Invalid parameter '${unknown}'`)
  if (backing !== undefined) {
    if (!hasBacking(driver)) throw new Failure(`Backing file not supported for file format '${driver.name}'`)
    values['backing_file'] = backing
  }
  if (backingFormat !== undefined) {
    if (!hasBacking(driver)) throw new Failure(`Backing format not supported for file format '${driver.name}'`)
    values['backing_fmt'] = backingFormat
  }
  if (values['backing_file'] !== undefined && values['backing_fmt'] === undefined) throw new Failure('Use of backing file requires explicit backing format')
  if (values['backing_file'] !== undefined && sources.length > 1) {
    throw new Failure('Having a backing file for the target makes no sense when concatenating multiple input images')
  }
  if (!compress) return
  if (!COMPRESSING.includes(driver.name)) throw new Failure('Compression not supported for this file format')
  if (isOn(values['encryption']) || values['encrypt.format'] !== undefined) throw new Failure('Compression and encryption not supported at the same time')
  if ((values['preallocation'] ?? 'off') !== 'off') throw new Failure('Compression and preallocation not supported at the same time')
}

function isOn(value: string | undefined): boolean {
  return value !== undefined && ['on', 'yes', 'true', 'y'].includes(value)
}

async function createTarget(host: Host, driver: AnyDriver, { target, values, secrets }: Conversion, size: number, signal: AbortSignal): Promise<void> {
  try {
    if (target === '') throw new Failure("Could not create '': No such file or directory")
    await createImage(target, { format: driver.name, options: values, size, secrets, signal, onWarning: (message) => warn(host, message) })
  } catch (error) {
    const failure = inContext('', error)
    throw failure instanceof Failure ? new Failure(`${target}: error while converting ${driver.name}: ${failure.message}`, { cause: error }) : failure
  }
}

async function copyTo(host: Host, sources: readonly DiskImage[], image: DiskImage, size: number, conversion: Conversion, signal: AbortSignal): Promise<void> {
  const { target, targetImageOpts, noCreate, cache, compress, progress: style } = conversion
  const format = conversion.targetFormat ?? (targetImageOpts ? undefined : 'raw')
  const to = await openNamed(host, { text: target, imageOpts: targetImageOpts, format }, { write: true, unmap: true, cache, options: noCreate ? {} : keySecretOptions(conversion.values), secrets: conversion.secrets, signal })
  try {
    const { node } = to
    if (size > Math.ceil(node.size / 512) * 512) throw new Failure('output file is smaller than input file')
    if (compress && node.compressGranularity === undefined) throw new Failure('Compression not supported for this file format')
    const { backing } = node
    if (conversion.targetIsZero && backing !== null) throw new Failure('Cannot use --target-is-zero when the destination image has a backing file')
    if (conversion.bitmaps !== undefined) checkTargetBitmaps(to)
    const progress = createProgress(host, style, PROGRESS_STEP)
    let last = { done: 0, total: 0 }
    try {
      const source = sources.map(({ node: each }) => each)
      await copyImage({
        sources: source,
        target: node,
        targetIsZero: conversion.targetIsZero || (!noCreate && node.zeroInit && backing === null),
        // With a backing file the target needs only what the source has above its own.
        targetBacking: noCreate ? null : backing,
        base: noCreate || backing === null ? null : source[0]!.backing,
        compress,
        sparse: conversion.sparse,
        parallel: conversion.parallel,
        outOfOrder: conversion.outOfOrder,
        rateLimit: conversion.rateLimit,
        ...(conversion.salvage ? { onUnreadable: unreadable(host) } : {}),
        ...(style === 'none' ? {} : { onProgress: (now) => progress.update((last = now).done, now.total) }),
        signal,
      })
      progress.update(last.total, last.total)
    } finally {
      progress.end()
    }
    if (conversion.bitmaps !== undefined) await copySourceBitmaps(host, image, to, conversion.bitmaps)
    await to.flush()
  } catch (error) {
    await to.close().catch(() => undefined)
    throw inContext('error while converting: ', error)
  }
  await to.close()
}

function unreadable(host: Host): (offset: number, bytes: number, error: unknown) => void {
  return (offset, _bytes, error) => warn(host, `error while reading offset ${offset}: ${strerror(isBlockError(error) ? error.errno : 'EIO')}`)
}
