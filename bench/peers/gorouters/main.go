// Nanoseconds per lookup of two routers of Go's world, with the same lists, order and output as
// bench/micro_router.c. Lookup is what they offer for this; no request is served around it.
package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	fastrouter "github.com/fasthttp/router"
	"github.com/julienschmidt/httprouter"
	"github.com/valyala/fasthttp"
)

const (
	shuffled = 4096
	rounds   = 200
	round    = 2 * time.Millisecond
)

type ask struct{ method, path string }

// lookup answers one ask and says whether there was a handler.
type lookup func(a *ask) bool

func load(path string) (asks []ask) {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		method, path, _ := strings.Cut(lines.Text(), " ")
		asks = append(asks, ask{method, path})
	}
	return asks
}

func order(n int) []int {
	places := make([]int, shuffled)
	random := uint32(1)
	for i := range places {
		random = random*1664525 + 1013904223
		places[i] = int(random>>8) % n
	}
	return places
}

func measure(asks []ask, places []int, find lookup) (ns float64, allocs uint64) {
	best := 1e18
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	total := 0
	for i := 0; i < rounds; i++ {
		begin, passes := time.Now(), 0
		for time.Since(begin) < round {
			for _, place := range places {
				if !find(&asks[place]) {
					panic("a lookup is wrong: " + asks[place].path)
				}
			}
			passes++
		}
		took := float64(time.Since(begin).Nanoseconds()) / float64(passes*len(places))
		total += passes * len(places)
		if took < best {
			best = took
		}
	}
	runtime.ReadMemStats(&after)
	return best, (after.Mallocs - before.Mallocs + uint64(total)/2) / uint64(total)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func viaHTTPRouter(asks []ask) lookup {
	r := httprouter.New()
	for _, a := range asks {
		r.Handle(a.method, a.path, func(http.ResponseWriter, *http.Request, httprouter.Params) {})
	}
	return func(a *ask) bool {
		handle, _, _ := r.Lookup(a.method, a.path)
		return handle != nil
	}
}

func braces(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") {
			parts[i] = "{" + part[1:] + "}"
		}
	}
	return strings.Join(parts, "/")
}

func viaFastHTTPRouter(asks []ask) lookup {
	r := fastrouter.New()
	for _, a := range asks {
		r.Handle(a.method, braces(a.path), func(*fasthttp.RequestCtx) {})
	}
	ctx := new(fasthttp.RequestCtx)
	return func(a *ask) bool {
		ctx.ResetUserValues() // as a server does between requests
		handle, _ := r.Lookup(a.method, a.path, ctx)
		return handle != nil
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	peers := []struct {
		name string
		make func([]ask) lookup
	}{{"httprouter", viaHTTPRouter}, {"fasthttp/router", viaFastHTTPRouter}}
	for _, path := range os.Args[1:] {
		asks := load(path)
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		inOrder := make([]int, len(asks))
		for i := range inOrder {
			inOrder[i] = i
		}
		for _, peer := range peers {
			before := heap()
			find := peer.make(asks)
			bytes := heap() - before
			ordered, allocs := measure(asks, inOrder, find)
			mixed, _ := measure(asks, order(len(asks)), find)
			fmt.Printf("%s %s %d %.1f %.1f %d %d\n", peer.name, name, len(asks), ordered, mixed,
				allocs, bytes)
		}
	}
}
