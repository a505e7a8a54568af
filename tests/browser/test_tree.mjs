// A real tree in a real browser: all that its pages link to has the bytes that are on the disk, the first
// time and when the browser has it already. Run by `./dev browser`; SERVAL_TREE is another tree.
import assert from 'node:assert'
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { launch } from './chromium.mjs'

const root = process.env.SERVAL_TREE || '/usr/include/linux'

// What is to be found: no hidden names, no links that lead out of the tree or are absolute. Linked folders are
// served, and left out here, as they may lead in a circle.
function filesBelow(folder, found = new Map()) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name)
    if (entry.name.startsWith('.')) continue
    if (entry.isDirectory()) { filesBelow(full, found); continue }
    if (entry.isSymbolicLink()) {
      const target = fs.readlinkSync(full)
      if (target.startsWith('/') || !path.resolve(folder, target).startsWith(root + '/')) continue
    }
    if (!fs.statSync(full, { throwIfNoEntry: false })?.isFile()) continue
    found.set(path.relative(root, full), crypto.createHash('sha256').update(fs.readFileSync(full)).digest('hex'))
  }
  return found
}

async function serve() {
  const server = spawn(process.env.SERVAL_BIN, ['-l', '127.0.0.1:0', '--log', 'off', root],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  const line = await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error('the server does not start')), 30000)
    server.stdout.once('data', data => { clearTimeout(timer); done(String(data)) })
  })
  return { server, base: / listen=(\S+)/.exec(line)[1] }
}

// The links of a folder, on all of its pages.
async function linksOf(page, url) {
  const links = []
  for (let next = url; next;) {
    await page.goto(next)
    links.push(...await page.locator('.list tbody a').evaluateAll(all => all.map(a => a.href)))
    const following = page.locator('a[rel=next]')
    next = await following.count() ? await following.first().evaluate(a => a.href) : null
  }
  return [...new Set(links)].filter(link => link.startsWith(url) && link !== url && !link.includes('?'))
}

// As scripts get them, 8 at a time: Accept-Encoding, caches and all that are the browser's.
function digests(page, urls) {
  return page.evaluate(async urls => {
    const found = {}
    const take = async () => {
      while (urls.length) {
        const url = urls.pop()
        const bytes = await (await fetch(url)).arrayBuffer()
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
        found[url] = Array.from(hash, b => b.toString(16).padStart(2, '0')).join('')
      }
    }
    await Promise.all(Array.from({ length: 8 }, take))
    return found
  }, urls)
}

const wanted = filesBelow(root)
const { server, base } = await serve()
const browser = await launch()
let failed = 1
try {
  const page = await (await browser.newContext({ bypassCSP: true })).newPage() // the page's own lets it fetch nothing
  const folders = [base], got = new Map()
  while (folders.length) {
    const links = await linksOf(page, folders.pop())
    for (const link of links.filter(link => link.endsWith('/'))) {
      const name = decodeURIComponent(link.slice(base.length))
      if (!wanted.has(name + 'index.html') && !fs.lstatSync(path.join(root, name.slice(0, -1))).isSymbolicLink())
        folders.push(link)
    }
    const files = links.filter(link => !link.endsWith('/'))
    for (const again of [false, true])
      for (const [url, hash] of Object.entries(await digests(page, files))) {
        const name = decodeURIComponent(url.slice(base.length))
        assert.equal(hash, wanted.get(name), (again ? 'again: ' : '') + name)
        got.set(name, hash)
      }
  }
  const lacking = [...wanted.keys()].filter(name => !got.has(name))
  assert.deepEqual(lacking.slice(0, 10), [], 'not linked')
  assert(got.size > 100, 'a small tree')
  console.log(`ok    ${got.size} files of ${root} have the bytes that are on the disk`)
  failed = 0
} catch (error) {
  console.log('FAIL  a real tree\n' + error.stack)
}
await browser.close()
server.kill()
process.exit(failed)
