// Go's net/http as a peer: hello, echo, routes and files over a socket, or the twins of
// bench/micro_server.c.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"

	"serval.bench/fake"
)

func twin() {
	c := fake.Flags()
	handler := func(w http.ResponseWriter, r *http.Request) {
		body := fake.Body
		switch {
		case c.Name == "post":
			got, err := io.ReadAll(r.Body)
			if r.Method != "POST" || err != nil || !bytes.Equal(got, fake.Body) {
				log.Fatal("not what was sent")
			}
			body = got
		case c.Name == "big":
			body = fake.Big
		case r.Method != "GET":
			log.Fatal("not what was sent")
		}
		header := w.Header()
		header["Content-Type"] = []string{"text/plain"}
		header["Content-Length"] = []string{strconv.Itoa(len(body))}
		if c.Quota == 1 {
			header["Connection"] = []string{"close"}
		}
		w.Write(body)
		fake.Served.Add(1)
	}
	s := &http.Server{Handler: http.HandlerFunc(handler)}
	c.Run(s.Serve)
}

// routes reads "METHOD /path/:name" a line: {name} is ServeMux's way to say so.
func routes(file string) http.Handler {
	mux := http.NewServeMux()
	f, err := os.Open(file)
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		method, path, found := strings.Cut(lines.Text(), " ")
		if !found || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		parts := strings.Split(path, "/")
		last := ""
		for i, part := range parts {
			if strings.HasPrefix(part, ":") {
				last = part[1:]
				parts[i] = "{" + last + "}"
			}
		}
		mux.HandleFunc(method+" "+strings.Join(parts, "/"), func(w http.ResponseWriter, r *http.Request) {
			if last != "" && r.PathValue(last) == "" {
				log.Fatal("no value for ", last)
			}
			hello(w, r)
		})
	}
	return mux
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "Hello, World!")
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "twin" {
		os.Args = os.Args[1:]
		twin()
		return
	}
	listen := flag.String("listen", "127.0.0.1:8080", "")
	root := flag.String("root", "", "the folder to serve; none: hello, and POST is echoed")
	list := flag.String("routes", "", "a list of routes, all of which say hello")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	handler := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.Header().Set("Content-Type", "application/octet-stream")
			body, err := io.ReadAll(r.Body)
			if err == nil {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				w.Write(body)
			}
			return
		}
		hello(w, r)
	}))
	if *root != "" {
		handler = http.FileServer(http.Dir(*root))
	}
	if *list != "" {
		handler = routes(*list)
	}
	log.Fatal(http.ListenAndServe(*listen, handler))
}
