import { rmSync } from 'node:fs'
import { oracleAvailable, tempFolder } from '@blockloom/oracle'
import type { TestProject } from 'vitest/node'
import { makeFixtures } from './make-fixtures.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder with the images that test files copy. */
    fixtures: string
  }
}

/** Makes the images once for all test files. */
export function setup({ provide }: TestProject): () => void {
  const folder = tempFolder()
  if (oracleAvailable()) makeFixtures(folder)
  provide('fixtures', folder)
  return () => rmSync(folder, { recursive: true, force: true })
}
