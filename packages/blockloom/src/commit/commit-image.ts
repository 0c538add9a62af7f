import { BlockError, isBlockError } from '@blockloom/block-driver'
import type { DiskImage } from '../disk-image.ts'
import { layersOf } from '../rebase/common-layers.ts'
import { copyDown } from './copy-down.ts'
import { findBase } from './find-base.ts'
import { describeLayers, reopenLayers } from './reopen-layers.ts'

/** @public */
export interface CommitOptions {
  /** The layer that is written to, as its overlay names it, or relative to that overlay's folder. Default: the backing file. */
  readonly base?: string
  /**
   * Drop what the overlay has afterwards: it reads the same from its backing file then. Default: true without `base`.
   * Formats that cannot do this keep it, which costs only space.
   */
  readonly empty?: boolean
  /** Bytes per second. Default: no limit. */
  readonly rateLimit?: number
  /** Bytes of data copied; zeroes are not counted. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void
  readonly signal?: AbortSignal
}

/**
 * Writes what an overlay has, and the layers between it and the base, down into the base. The base grows if it is
 * shorter than the overlay. The overlay reads the same before, meanwhile and afterwards; layers in between do not, so
 * nothing else may use them.
 *
 * After a failure or an abort the base has part of it, which does not show in the overlay, and nothing is lost: it can be
 * done again.
 *
 * @example
 * ```ts
 * const overlay = await openImage('overlay.qcow2', { format: 'qcow2', write: true, implicit: 'allow' })
 * await commitImage(overlay, {})
 * ```
 * @param overlay - open for writing, with its backing chain. It is closed, whatever happens: its files have to be opened
 * in another way.
 * @throws BlockError `invalid` if it has no backing file; `not-found` if the chain has no such base; `detail.stage` says
 * whether the `copy` failed or to `empty` the overlay
 * @public
 */
export async function commitImage(overlay: DiskImage, options: CommitOptions = {}): Promise<void> {
  const { base: name, empty = name === undefined, rateLimit, onProgress, signal } = options
  const { graph } = overlay
  try {
    const cut = findBase(layersOf(overlay.node), name)
    if (empty && cut.above.length > 1) {
      throw new BlockError('invalid', 'The overlay can be emptied only if the base is its backing file: layers in between would show', { detail: { option: 'empty' } })
    }
    if (overlay.readOnly) throw new BlockError('read-only', `The overlay '${overlay.filename}' is open read-only`, { detail: { filename: overlay.filename } })
    const layers = describeLayers(cut)
    signal?.throwIfAborted()
    await overlay.close()
    const { top, base } = await reopenLayers(graph, layers, signal)
    await atStage('copy', `Could not commit to '${base.filename}'`, async () => {
      if (base.size < top.size) await base.resize(top.size)
      await copyDown({ top, base, rateLimit, onProgress, signal })
      // Before the overlay drops it.
      await base.flush()
    })
    await atStage('empty', `Failed to empty '${top.filename}'`, async () => {
      if (empty) await top.makeEmpty?.()
      await top.flush()
    })
  } catch (error) {
    await graph.close().catch(() => undefined)
    throw error
  }
  await graph.close()
}

async function atStage(stage: 'copy' | 'empty', what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!isBlockError(error)) throw error
    throw new BlockError(error.code, `${what}: ${error.message}`, { errno: error.errno, cause: error, detail: { ...error.detail, stage } })
  }
}
