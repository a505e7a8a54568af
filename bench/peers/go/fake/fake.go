// Package fake is the Go half of bench/micro_server.c: connections without sockets or a kernel,
// so that a server's own work is all that is measured. What they read, how it is cut and what
// is written are the same there and here.
package fake

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const get = "GET /foobar?baz HTTP/1.1\r\n" +
	"Host: google.com\r\n" +
	"User-Agent: aaa/bbb/ccc/ddd/eee Firefox Chrome MSIE Opera\r\n" +
	"Referer: http://xxx.com/aaa?bbb=ccc\r\n" +
	"Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n"

const post = "POST /foobar?baz HTTP/1.1\r\n" +
	"Host: google.com\r\n" +
	"Content-Type: foo/bar\r\n" +
	"Content-Length: 13\r\n" +
	"User-Agent: Opera Chrome MSIE Firefox and other/1.2.34\r\n" +
	"Referer: http://google.com/aaaa/bbb/ccc\r\n" +
	"Cookie: foo=bar; baz=baraz; aa=aakslsdweriwereowriewroire\r\n\r\n" +
	"Hello, world!"

const hijack = "GET /foo HTTP/1.1\r\nHost: google.com\r\n\r\n"

const readSize = 4096

// Body is what every request is answered with, and what a POST brings.
var Body = []byte("Hello, world!")

// Big is the answer of the case "big".
var Big = make([]byte, 1<<20)

// Case is one benchmark, from the command line.
type Case struct {
	Name             string // get, post, hijack or big
	Requests, Quota  int64
	Clients, Threads int

	text   []byte // the request, over and over
	period int
}

// Served counts what the handlers have answered.
var Served atomic.Int64

// Flags reads a case.
func Flags() *Case {
	c := &Case{}
	flag.StringVar(&c.Name, "twin", "get", "get, post, hijack or big")
	flag.Int64Var(&c.Requests, "requests", 1000000, "")
	flag.Int64Var(&c.Quota, "per-conn", 10000, "requests per connection")
	flag.IntVar(&c.Clients, "clients", 2, "connections there are")
	flag.IntVar(&c.Threads, "threads", 1, "GOMAXPROCS")
	flag.Parse()
	request := get
	switch c.Name {
	case "post":
		request = post
	case "hijack":
		request = hijack
	}
	c.period = len(request)
	for len(c.text) < readSize+c.period {
		c.text = append(c.text, request...)
	}
	return c
}

type conn struct {
	of       *listener
	left, at int
	open     bool
}

func (c *conn) Read(to []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := len(to)
	if n > c.left {
		n = c.left
	}
	if n > readSize {
		n = readSize
	}
	copy(to[:n], c.of.text[c.at:])
	c.at = (c.at + n) % c.of.period
	c.left -= n
	return n, nil
}

func (c *conn) Write(from []byte) (int, error) {
	c.of.written.Add(int64(len(from)))
	return len(from), nil
}

func (c *conn) Close() error {
	if c.open {
		c.open = false
		c.of.idle <- c
	}
	return nil
}

var address = net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 12345}

func (c *conn) LocalAddr() net.Addr              { return &address }
func (c *conn) RemoteAddr() net.Addr             { return &address }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

type listener struct {
	*Case
	idle    chan *conn
	begun   int64
	written atomic.Int64
	closed  sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	n := l.Quota
	if n > l.Requests-l.begun {
		n = l.Requests - l.begun
	}
	if n == 0 {
		for len(l.idle) < l.Clients {
			time.Sleep(time.Millisecond)
		}
		return nil, io.EOF
	}
	c := <-l.idle
	l.begun += n
	*c = conn{of: l, left: int(n) * l.period, open: true}
	return c, nil
}

func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return &address }

// Run serves all requests of the case and prints what it took as one line of JSON.
func (c *Case) Run(serve func(net.Listener) error) {
	runtime.GOMAXPROCS(c.Threads)
	l := &listener{Case: c, idle: make(chan *conn, c.Clients)}
	for i := 0; i < c.Clients; i++ {
		l.idle <- &conn{}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	err := serve(l)
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if Served.Load() != c.Requests {
		fmt.Fprintln(os.Stderr, "served", Served.Load(), "of", c.Requests)
		os.Exit(1)
	}
	n := float64(c.Requests)
	fmt.Printf("{\"requests\":%d,\"ns\":%.2f,\"bytes\":%.2f,\"allocations\":%.4f}\n", c.Requests,
		float64(took.Nanoseconds())/n, float64(l.written.Load())/n,
		float64(after.Mallocs-before.Mallocs)/n)
}
