/**
 * Where a name that is written inside an image leads: absolute names, names with a protocol and `json:` names stay as
 * they are, others are relative to the folder of the image.
 *
 * @returns undefined for a relative name in an image that has no folder (`json:{...}`)
 * @public
 */
export function backingPath(image: string, filename: string): string | undefined {
  if (filename.startsWith('/') || /^[^/:]*:/.test(filename)) return filename
  if (image.startsWith('json:')) return undefined
  const protocol = /^[^/:]*:/.exec(image)?.[0] ?? ''
  return image.slice(0, Math.max(image.lastIndexOf('/') + 1, protocol.length)) + filename
}
