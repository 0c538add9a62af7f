import { formatCases, type FormatFixture, register } from '@blockloom/driver-testkit'
import { describe, it } from 'vitest'
import { acme } from '@blockloom/format-acme'

const fixture = (): FormatFixture => ({ driver: acme, facets: ['probe', 'creation', 'extents', 'writer'] })

register(formatCases(), fixture, { describe, it })
