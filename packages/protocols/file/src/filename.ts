import { BlockError } from '@blockloom/block-driver'

/**
 * Turns `x`, `file:x` or `C:\x` into options.
 *
 * @throws BlockError `invalid` if there is no name
 * @internal
 */
export function parseFilename(filename: string): { readonly filename: string } {
  const name = filename.startsWith('file:') ? filename.slice(5) : filename
  checkFilename(name)
  return { filename: name }
}

/** The plain name that means this file, whatever characters are in it. @internal */
export function plainFilename(filename: string): string {
  const looksLikeProtocol = /^[^/\\]*:/.test(filename) && !isWindowsDrive(filename)
  return looksLikeProtocol ? `file:${filename}` : filename
}

/** @throws BlockError `invalid` for the empty name, and for names that the host cannot have @internal */
export function checkFilename(filename: string): void {
  if (filename === '') throw new BlockError('invalid', "The 'file' block driver requires a file name", { detail: { option: 'filename' } })
  if (filename.includes('\0')) throw new BlockError('invalid', 'A file name cannot contain a NUL character', { detail: { option: 'filename' } })
}

/** `c:`, `c:\x` and `c:/x` are files, not a protocol called `c`. */
function isWindowsDrive(filename: string): boolean {
  return process.platform === 'win32' && (/^[a-z]:($|[\\/])/i.test(filename) || /^[\\/]{2}[.?][\\/]/.test(filename))
}
