// fasthttp as a peer: hello, echo and files over a socket, or the twins of bench/micro_server.c.
package main

import (
	"bytes"
	"flag"
	"log"
	"net"
	"os"
	"runtime"

	"github.com/valyala/fasthttp"
	"serval.bench/fake"
)

// hijacked answers on a connection before and after it was taken over.
func hijacked(ctx *fasthttp.RequestCtx) {
	ctx.Success("foobar", []byte("123"))
	fake.Served.Add(1)
}

func twin() {
	c := fake.Flags()
	handler := func(ctx *fasthttp.RequestCtx) {
		switch c.Name {
		case "post":
			if !ctx.IsPost() || !bytes.Equal(ctx.PostBody(), fake.Body) {
				log.Fatal("not what was sent")
			}
			ctx.Success("text/plain", ctx.PostBody())
		case "hijack":
			ctx.Hijack(func(c net.Conn) {
				if err := fasthttp.ServeConn(c, hijacked); err != nil {
					log.Fatal(err)
				}
			})
			hijacked(ctx)
			return
		case "big":
			ctx.SetContentType("text/plain")
			ctx.Response.SetBodyRaw(fake.Big)
		default:
			if !ctx.IsGet() {
				log.Fatal("not what was sent")
			}
			ctx.Success("text/plain", fake.Body)
		}
		if c.Quota == 1 {
			ctx.SetConnectionClose()
		}
		fake.Served.Add(1)
	}
	s := &fasthttp.Server{Handler: handler, Concurrency: 16 * c.Clients}
	c.Run(func(l net.Listener) error { return s.Serve(l) })
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "twin" {
		os.Args = os.Args[1:]
		twin()
		return
	}
	listen := flag.String("listen", "127.0.0.1:8080", "")
	root := flag.String("root", "", "the folder to serve; none: hello, and POST is echoed")
	compress := flag.Bool("compress", false, "gzip what is served")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	handler := func(ctx *fasthttp.RequestCtx) {
		if ctx.IsPost() {
			ctx.SetContentType("application/octet-stream")
			ctx.SetBody(ctx.PostBody())
			return
		}
		ctx.Success("text/plain", []byte("Hello, World!"))
	}
	if *root != "" {
		fs := &fasthttp.FS{Root: *root, AcceptByteRange: true}
		handler = fs.NewRequestHandler()
	}
	if *compress {
		handler = fasthttp.CompressHandler(handler)
	}
	s := &fasthttp.Server{Handler: handler, MaxRequestBodySize: 16 << 20}
	log.Fatal(s.ListenAndServe(*listen))
}
