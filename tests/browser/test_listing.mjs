// The directory page in a real browser: looks, keys, hostile names, accessibility. Run by
// `./dev browser`. Screenshots are written to SERVAL_SHOTS if that is set.
import assert from 'node:assert'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { launch } from './chromium.mjs'

const require = createRequire(import.meta.url)
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const bin = process.env.SERVAL_BIN
const shots = process.env.SERVAL_SHOTS
const top = fs.mkdtempSync(path.join(os.tmpdir(), 'serval-browser-'))
const root = path.join(top, 'root')
const hostile = ['<script>alert(1)<', '"quote\'', 'a&amp;b', 'new\nline', '-rf', '100%', '%2e%2e', 'q?a=b', 'h#x',
  'javascript:alert(1)', 'back\\slash', '\u202egpj.exe', ' blank ', 'x'.repeat(255)]

function make() {
  const at = new Date('2026-03-14T15:09:26Z') / 1000
  const file = (name, size, age = 0) => {
    const full = path.join(root, name)
    fs.mkdirSync(path.dirname(full), { recursive: true })
    fs.writeFileSync(full, typeof size === 'string' ? size : Buffer.alloc(size, 'x'))
    fs.utimesSync(full, at - age * 86400, at - age * 86400)
  }
  const words = `# Field recordings

Sounds, pictures and notes from **three summers** by the lake. Start with [the notes](notes.txt), or
take all of it:

\`\`\`
wget --mirror https://example.org/lake/
\`\`\`

| What | Where |
|------|-------|
| sounds | \`2024/\` to \`2026/\` |
| maps | *maps.zip* |

<script>window.hacked = 1</script> [no](javascript:window.hacked=1)
`
  for (const name of ['2024/a', '2025/a', '2026/a', 'sketches/a']) file('lake/' + name, 1)
  file('lake/README.md', words)
  file('lake/cover.jpg', 482133, 3)
  file('lake/dawn 1.flac', 31457280, 12)
  file('lake/dawn 2.flac', 29201110, 11)
  file('lake/dawn 10.flac', 33554432, 2)
  file('lake/index.json', 2310, 1)
  file('lake/maps.zip', 8123456, 40)
  file('lake/notes.txt', 12345, 5)
  file('lake/otter.mp4', 91234567, 7)
  file('lake/render.py', 4096, 9)
  fs.symlinkSync('nowhere', path.join(root, 'lake/old-cover.jpg'))
  for (const name of ['2024', '2025', '2026', 'sketches']) fs.utimesSync(path.join(root, 'lake', name), at, at)
  fs.mkdirSync(path.join(root, 'hostile/empty'), { recursive: true })
  hostile.forEach((name, i) => fs.writeFileSync(path.join(root, 'hostile', name), 'file ' + i))
  fs.mkdirSync(path.join(root, 'many'))
  for (let i = 0; i < 2500; i++) fs.writeFileSync(path.join(root, 'many', 'f' + i), '')
}

async function serve(...options) {
  const server = spawn(bin, ['-l', '127.0.0.1:0', '--log', 'off', ...options, root], { stdio: ['ignore', 'pipe', 'inherit'] })
  const line = await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error('the server does not start')), 30000)
    server.stdout.once('data', data => { clearTimeout(timer); done(String(data)) })
  })
  return { server, base: / listen=(\S+)/.exec(line)[1].replace(/\/$/, '') }
}

const tests = {
  async 'the page shows all that is there, and asks for nothing else'(page, base) {
    const asked = []
    page.on('request', request => asked.push(request.url()))
    await page.goto(base + '/lake/')
    assert.equal(await page.title(), 'lake')
    assert.equal(await page.locator('.list tbody tr').count(), 15)
    assert.match(await page.locator('#count').textContent(), /^4 folders, 11 files, /)
    assert.deepEqual((await page.locator('.list bdi').allTextContents()).slice(4, 10),
      ['cover.jpg', 'dawn 1.flac', 'dawn 2.flac', 'dawn 10.flac', 'index.json', 'maps.zip'])
    assert.deepEqual(asked.filter(url => !url.startsWith('data:')), [base + '/lake/'])
    assert.equal(await page.evaluate('window.hacked'), undefined)
    assert.equal(await page.locator('article a').nth(1).getAttribute('href'), '#')
    if (shots) await page.screenshot({ path: shots + '/light.png', fullPage: true })
    if (shots) await page.screenshot({ path: shots + '/listing.png', clip: { x: 0, y: 0, width: 1100, height: 960 }, fullPage: true })
  },
  async 'it is dark where people want it dark'(page, base) {
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.goto(base + '/lake/')
    assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(20, 23, 27)')
    if (shots) await page.screenshot({ path: shots + '/dark.png', fullPage: true })
  },
  async 'it fits a phone'(page, base) {
    await page.setViewportSize({ width: 360, height: 740 })
    for (const place of ['/lake/', '/hostile/', '/many/']) {
      await page.goto(base + place)
      assert(await page.evaluate('document.documentElement.scrollWidth') <= 360, place)
      if (shots) await page.screenshot({ path: shots + '/phone' + place.replaceAll('/', '-') + '.png' })
    }
  },
  async 'it can be printed'(page, base) {
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
    await page.goto(base + '/lake/')
    assert.equal(await page.locator('form').isVisible(), false)
    assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(255, 255, 255)')
    if (shots) await page.screenshot({ path: shots + '/print.png' })
  },
  async 'columns sort'(page, base) {
    await page.goto(base + '/lake/')
    await page.click('th >> text=Size')
    assert.equal(await page.locator('th[aria-sort=descending]').textContent(), 'Size')
    assert.equal(await page.locator('.list bdi').nth(4).textContent(), 'otter.mp4')
    await page.click('th >> text=Size')
    assert.equal(await page.locator('th[aria-sort=ascending]').textContent(), 'Size')
    await page.click('th >> text=Modified')
    assert.match(page.url(), /sort=time&order=desc/)
  },
  async 'typing filters, and keys walk'(page, base) {
    await page.goto(base + '/lake/')
    await page.keyboard.press('/')
    await page.keyboard.type('DAWN')
    assert.equal(await page.locator('.list tbody tr:visible').count(), 3)
    assert.equal(await page.locator('#count').textContent(), '3 of 15 shown')
    await page.keyboard.press('Escape')
    assert.equal(await page.locator('.list tbody tr:visible').count(), 15)
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowDown')
    assert.equal(await page.evaluate('document.activeElement.textContent'), '2025/')
    await page.keyboard.press('Enter')
    await page.waitForURL(base + '/lake/2025/')
    await page.keyboard.press('Backspace')
    await page.waitForURL(base + '/lake/')
  },
  async 'names do no harm, and lead to their files'(page, base) {
    page.on('dialog', () => assert.fail('a name was run'))
    await page.goto(base + '/hostile/')
    assert.equal(await page.locator('.list tbody tr').count(), hostile.length + 1)
    for (let i = 0; i < hostile.length; i++) {
      const there = await page.evaluate(async name => {
        const link = [...document.querySelectorAll('.list td a')].find(a => a.querySelector('bdi').textContent === name)
        return link && link.href
      }, hostile[i])
      assert(there && there.startsWith(base + '/hostile/'), hostile[i])
      assert.equal(await (await page.request.get(there)).text(), 'file ' + i)
    }
    if (shots) await page.screenshot({ path: shots + '/hostile.png', fullPage: true })
  },
  async 'a folder of many is on pages, and the filter asks the server'(page, base) {
    await page.goto(base + '/many/')
    assert.match(await page.locator('#count').textContent(), /^1–1,000 of 2,500 entries/)
    if (shots) await page.screenshot({ path: shots + '/many.png' })
    await page.click('text=Next')
    assert.match(await page.locator('#count').textContent(), /^1,001–2,000 of 2,500/)
    await page.click('text=Next')
    assert.equal(await page.locator('.list bdi').last().textContent(), 'f2499')
    assert.equal(await page.locator('text=Next').count(), 0)
    await page.click('text=Previous')
    assert.equal(await page.locator('.list bdi').first().textContent(), 'f1000')
    await page.fill('#q', 'f24')
    await page.keyboard.press('Enter')
    await page.waitForURL(/q=f24/)
    assert.equal(await page.locator('.list tbody tr').count(), 111)
  },
  async 'axe finds nothing'(page, base) {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme })
      for (const place of ['/lake/', '/lake/?q=nothing+like+it', '/hostile/', '/hostile/empty/', '/many/', '/']) {
        await page.goto(base + place)
        await page.evaluate(axe)
        const found = await page.evaluate('axe.run({ runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] } })')
        assert.deepEqual(found.violations.map(v => place + v.id + ': ' + v.nodes[0].html + v.nodes[0].failureSummary), [])
      }
    }
  },
  async 'files are added by its form, without script and on a phone, by who has the password'(page, base, browser) {
    const made = spawnSync(bin, ['hash-password', 'me'], { input: 'secret' })
    const { server, base: own } = await serve('--archive', '--upload', String(made.stdout).split('\n').find(line => line.startsWith('me:')))
    const people = { httpCredentials: { username: 'me', password: 'secret' }, javaScriptEnabled: false }
    const context = await browser.newContext({ ...people, viewport: { width: 360, height: 740 } })
    const plain = await context.newPage()
    try {
      await plain.goto(own + '/hostile/empty/')
      await plain.setInputFiles('.up input', [{ name: 'one <b>.txt', mimeType: 'text/plain', buffer: Buffer.from('first') },
        { name: 'two.txt', mimeType: 'text/plain', buffer: Buffer.from('second') }])
      if (shots) await plain.screenshot({ path: shots + '/upload-phone.png' })
      await plain.click('.up button')
      assert.equal(plain.url(), own + '/hostile/empty/')
      assert.deepEqual(await plain.locator('.list bdi').allTextContents(), ['one <b>.txt', 'two.txt'])
      assert.equal(fs.readFileSync(path.join(root, 'hostile/empty/one <b>.txt'), 'utf8'), 'first')
      await page.goto(own + '/lake/')
      assert(await page.evaluate('document.documentElement.scrollWidth') <= 1100)
      await page.setViewportSize({ width: 1100, height: 760 })
      if (shots) await page.screenshot({ path: shots + '/upload.png', fullPage: true })
      const scan = await browser.newContext({ bypassCSP: true })
      const seen = await scan.newPage()
      await seen.goto(own + '/lake/')
      await seen.evaluate(axe)
      const found = await seen.evaluate('axe.run()')
      assert.deepEqual(found.violations.map(v => v.id + ': ' + v.nodes[0].html), [])
      await scan.close()
    } finally {
      await context.close()
      server.kill()
      for (const name of ['one <b>.txt', 'two.txt']) fs.rmSync(path.join(root, 'hostile/empty', name), { force: true })
    }
  },
  async 'it works without script'(page, base, browser) {
    const context = await browser.newContext({ javaScriptEnabled: false })
    const plain = await context.newPage()
    await plain.goto(base + '/lake/')
    await plain.fill('#q', 'dawn')
    await plain.click('form button')
    assert.equal(await plain.locator('.list tbody tr').count(), 3)
    await plain.click('th >> text=Name')
    assert.equal(await plain.locator('.list bdi').first().textContent(), 'dawn 10.flac')
    await plain.click('h1 >> text=Home')
    assert.equal(await plain.locator('.list bdi').first().textContent(), 'hostile/')
    await context.close()
  },
}

make()
const browser = await launch()
const { server, base } = await serve()
let failed = 0
for (const [name, test] of Object.entries(tests)) {
  if (process.argv[2] && !name.includes(process.argv[2])) continue
  const context = await browser.newContext({ bypassCSP: name.startsWith('axe'), viewport: { width: 1100, height: 760 } })
  const page = await context.newPage()
  page.setDefaultTimeout(15000)
  const errors = []
  page.on('pageerror', error => errors.push(String(error)))
  page.on('console', message => { if (message.type() === 'error') errors.push(message.text()) })
  try {
    await test(page, base, browser)
    assert.deepEqual(errors.filter(e => !e.includes('javascript:')), [])
    console.log('ok    ' + name)
  } catch (error) {
    failed++
    console.log('FAIL  ' + name + '\n' + error.stack)
  }
  await context.close()
}
await browser.close()
server.kill()
fs.rmSync(top, { recursive: true })
process.exit(failed ? 1 : 0)
