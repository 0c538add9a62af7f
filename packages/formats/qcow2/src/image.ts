import type { ChildHandle, ChildSlot, OpenMode } from '@blockloom/block-driver'
import type { CoMutex } from '@blockloom/coroutine-scheduler'
import type { TableCache } from '@blockloom/driver-kit'
import type { Codec } from '@blockloom/driver-kit/codecs'
import type { BitmapList } from './bitmaps/bitmap-list.ts'
import type { CompressedReader } from './compressed-read.ts'
import type { Corruption } from './corruption.ts'
import type { Encryption } from './encryption/encryption.ts'
import type { L1Table } from './l1-table.ts'
import type { Mapper } from './mapper.ts'
import type { DecodedHeaderArea } from './on-disk/header-area.ts'
import type { Header } from './on-disk/header.ts'
import type { L2Context } from './on-disk/l2.ts'
import type { Qcow2Options } from './options.ts'
import type { Geometry } from './units.ts'

/**
 * An opened image: what all verbs share. Each verb is a function of it in a file of its own.
 *
 * @internal
 */
export interface Qcow2Image {
  /** What the first cluster says now. Replaced as a whole by header-update.ts and header-rewrite.ts. */
  area: DecodedHeaderArea
  /** Held by those who change the first cluster; nothing is waited for inside except I/O. */
  readonly headerTurn: CoMutex
  /** Its fixed part; always `area.header`. */
  readonly header: Header
  readonly version: 2 | 3
  readonly geometry: Geometry
  readonly clusterSize: number
  readonly context: L2Context
  readonly mode: OpenMode
  readonly options: Qcow2Options
  /** The image file. */
  readonly file: ChildHandle
  /** Where guest clusters are: the image file, or the external data file; null if that was not opened, or the image is encrypted and its key was not asked for. */
  readonly dataFile: ChildHandle | null
  readonly externalData: boolean
  readonly backing: ChildSlot
  /** null if the image is not encrypted. */
  readonly encryption: Encryption | null
  /** Changes with the version: amend/version.ts. */
  codec: Codec
  readonly corruption: Corruption
  readonly l1: L1Table
  readonly l2Cache: TableCache
  /** Looks up through the active L1 table. */
  readonly mapper: Mapper
  compressed: CompressedReader
  /** Dirty bitmaps that are stored in the image. */
  readonly bitmaps: BitmapList
  warn(message: string): void
}
