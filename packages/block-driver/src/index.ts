/**
 * The contract between block drivers and the graph.
 *
 * @example A whole driver
 * ```ts
 * import { defineDriver, limits, option } from '@blockloom/block-driver'
 *
 * export const zeroes = defineDriver({
 *   name: 'zeroes',
 *   kind: 'protocol',
 *   summary: 'reads as zeroes',
 *   options: { size: option.size('Size in bytes', { default: 1 << 30 }) },
 *   open: async ({ options }) => ({
 *     limits: limits(),
 *     size: () => options.size,
 *     read: async (_offset, into) => void into.fill(0),
 *     close: async () => {},
 *   }),
 * })
 * ```
 *
 * @packageDocumentation
 */
export { BlockError, isBlockError } from './block-error.ts'
export type { BlockErrorCode, BlockErrorDetail, BlockErrorInit } from './block-error.ts'
export type { ChildHandle, ChildSlot, FlushScope } from './child.ts'
export type { CreateContext, Measurement, MeasureContext } from './create-context.ts'
export { DONE } from './done.ts'
export { defineDriver, defineFilter } from './driver.ts'
export type { ChildField, ChildrenSchema, CreateDefinition, Driver, DriverDefinition, DriverKind, FilterChildren, FilterDefinition } from './driver.ts'
export type { Extent, HostExtent } from './extent.ts'
export type { AioContextFacet, Clock, SleepHow } from './facets/aio-context.ts'
export type { AmendFacet, AmendHow } from './facets/amend.ts'
export type { BackingFacet, BackingReference } from './facets/backing.ts'
export type { BitmapContent, BitmapFacet, StoredBitmap } from './facets/bitmap.ts'
export type { CheckFacet, CheckFix, CheckOptions, CheckResult } from './facets/check.ts'
export type { CompressFacet } from './facets/compress.ts'
export type { DebugFacet } from './facets/debug.ts'
export type { MediumFacet } from './facets/medium.ts'
export type { PermissionFacet } from './facets/permission.ts'
export type { Preallocation, ResizeFacet, ResizeOptions } from './facets/resize.ts'
export type { NewSnapshot, SnapshotFacet, SnapshotInfo } from './facets/snapshot.ts'
export type { Attempt, WriteFacet } from './facets/write.ts'
export type { FilterInstance, Instance } from './instance.ts'
export { MAX_IMAGE_SIZE, limits } from './limits.ts'
export type { Limits } from './limits.ts'
export type { ChildRequest, OpenContext, OpenMode } from './open-context.ts'
export { option } from './options/field.ts'
export type { FieldType, OptionField, OptionsInput, OptionsOf, OptionsSchema, Presence } from './options/field.ts'
export { parseOptions } from './options/parse.ts'
export type { ParseOptions } from './options/parse.ts'
export { parseSize } from './options/size.ts'
export { ChildRole, Permission, permissionNames } from './permission.ts'
export { RequestFlag } from './request-flag.ts'
export type { AnyDriver, NodeOptions, NodeSpec } from './spec.ts'
export type { Transaction } from './transaction.ts'
export type { SecretLookup } from './secret.ts'
