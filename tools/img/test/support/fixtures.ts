import { cpSync } from 'node:fs'
import { tempFolder } from '@blockloom/oracle'
import { inject } from 'vitest'

/** A folder of one's own with images of many kinds, made by the reference. The caller removes it. */
export function fixtureFolder(): string {
  const folder = tempFolder()
  cpSync(inject('fixtures'), folder, { recursive: true })
  return folder
}
