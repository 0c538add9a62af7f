import { filterCases, type FilterFixture, register } from '@blockloom/driver-testkit'
import { describe, it } from 'vitest'
import { acme } from '@blockloom/filter-acme'

const fixture = (): FilterFixture => ({ driver: acme, facets: [] })

register(filterCases(), fixture, { describe, it })
