import { BlockError, type AnyDriver } from '@blockloom/block-driver'

/** `C:\disk`, `\\.\d:`, `//./d:`: names of files and drives, although they have a colon. @internal */
export function isWindowsName(filename: string): boolean {
  return /^[a-zA-Z]:/.test(filename) || /^[\\/]{2}\.[\\/]/.test(filename)
}

/** The protocol prefix of a filename (`nbd` of `nbd://host`), or undefined for a plain name. @internal */
export function protocolPrefix(filename: string): string | undefined {
  if (isWindowsName(filename)) return undefined
  // A slash before the colon makes it a path (`./a:b`).
  return /^([^/:]*):/.exec(filename)?.[1]
}

/** Opens plain names; the reference calls it so too. */
const HOST_FILE = 'file'

/**
 * Finds the protocol for a filename and turns the name into its options.
 *
 * @throws BlockError `invalid` for an unknown prefix, in the reference's words
 * @internal
 */
export function protocolSpec(filename: string, drivers: readonly AnyDriver[]): Record<string, unknown> {
  if (filename === '') throw new BlockError('invalid', "The 'file' block driver requires a file name", { detail: { option: 'filename' } })
  const device = drivers.reduce<{ score: number; driver: AnyDriver | null }>(
    (best, driver) => {
      const score = driver.probeDevice?.(filename) ?? 0
      return score > best.score ? { score, driver } : best
    },
    { score: 0, driver: null },
  )
  const prefix = protocolPrefix(filename)
  const driver = device.driver ?? (prefix === undefined ? drivers.find((d) => d.name === HOST_FILE) : drivers.find((d) => d.prefixes?.includes(`${prefix}:`)))
  if (driver?.parseFilename === undefined) {
    throw new BlockError('invalid', prefix === undefined ? `No protocol driver for plain file names` : `Unknown protocol '${prefix}'`, {
      errno: 'EINVAL',
      detail: { filename },
    })
  }
  return { driver: driver.name, ...driver.parseFilename(filename) }
}

/**
 * A name inside an image is relative to the image's own folder, unless it is absolute, has a protocol, or the image
 * has no place.
 *
 * @throws BlockError `invalid` for a relative name in an image that is no plain file
 * @internal
 */
export function resolveRelative(image: string, filename: string): string {
  if (filename.startsWith('json:') || protocolPrefix(filename) !== undefined || isWindowsName(filename)) return filename
  if (filename.startsWith('/') || filename.startsWith('\\')) return filename
  if (image.startsWith('json:')) {
    throw new BlockError('invalid', `Cannot use relative paths with '${image}': the name '${filename}' inside it has no folder`, { detail: { filename } })
  }
  const start = protocolPrefix(image) === undefined ? 0 : image.indexOf(':') + 1
  const cut = Math.max(image.lastIndexOf('/'), isWindowsName(image) ? image.lastIndexOf('\\') : -1)
  return image.slice(0, Math.max(cut + 1, start)) + filename
}
