// etcd_load: closed-loop puts against etcd with mutual TLS, the same line of output as bench_load.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var (
	endpoints = flag.String("endpoints", "", "comma-separated")
	clients   = flag.Int("clients", 256, "")
	conns     = flag.Int("connections", 4, "")
	seconds   = flag.Int("seconds", 5, "")
	warm      = flag.Int("warm", 1, "")
	keys      = flag.Int("keys", 100000, "key space")
	fill      = flag.Int("fill", 0, "write that many keys once instead, 64 a transaction")
	value     = flag.Int("value", 256, "bytes")
	ca        = flag.String("ca", "", "")
	cert      = flag.String("cert", "", "")
	key       = flag.String("key", "", "")
	pids      = flag.String("pids", "", "of the servers, for their CPU")
	tag       = flag.String("tag", "etcd", "")
	leader    = flag.Bool("leader", false, "print the leader's endpoint and exit")
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func tlsConfig() *tls.Config {
	b, err := os.ReadFile(*ca)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	c, err := tls.LoadX509KeyPair(*cert, *key)
	must(err)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{c}}
}

func dial(eps []string) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: eps, TLS: tlsConfig(), DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	must(err)
	return c
}

func findLeader(eps []string) string {
	for try := 0; try < 200; try++ {
		for _, ep := range eps {
			c := dial([]string{ep})
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			s, err := c.Status(ctx, ep)
			cancel()
			c.Close()
			if err == nil && s.Leader != 0 && s.Header.MemberId == s.Leader {
				return ep
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("no leader")
	return ""
}

func cpu() float64 {
	total := 0.0
	for _, p := range strings.Split(*pids, ",") {
		b, err := os.ReadFile("/proc/" + p + "/stat")
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+2:]))
		u, _ := strconv.ParseFloat(f[11], 64)
		s, _ := strconv.ParseFloat(f[12], 64)
		total += (u + s) / 100
	}
	return total
}

func own() float64 {
	var r syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}

func keyOf(k int) string { return fmt.Sprintf("%032x", uint64(k)*0x9e3779b97f4a7c15) }

func doFill(cs []*clientv3.Client) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := 0; w < 32; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			r := rand.New(rand.NewSource(int64(w)))
			for {
				from := int(next.Add(64)) - 64
				if from >= *fill {
					return
				}
				var ops []clientv3.Op
				for k := from; k < from+64 && k < *fill; k++ {
					v := make([]byte, *value)
					r.Read(v)
					ops = append(ops, clientv3.OpPut(keyOf(k), string(v)))
				}
				_, err := cs[w%len(cs)].Txn(context.Background()).Then(ops...).Commit()
				must(err)
			}
		}(w)
	}
	wg.Wait()
}

func main() {
	flag.Parse()
	eps := strings.Split(*endpoints, ",")
	lead := findLeader(eps)
	if *leader {
		fmt.Println(lead)
		return
	}
	var cs []*clientv3.Client
	for i := 0; i < *conns; i++ {
		cs = append(cs, dial([]string{lead}))
	}
	if *fill > 0 {
		doFill(cs)
		return
	}
	var measuring, stop atomic.Bool
	var errs atomic.Int64
	lat := make([][]float64, *clients)
	var wg sync.WaitGroup
	for w := 0; w < *clients; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			r := rand.New(rand.NewSource(time.Now().UnixNano() + int64(w)))
			v := make([]byte, *value)
			for !stop.Load() {
				r.Read(v)
				t := time.Now()
				_, err := cs[w%len(cs)].Put(context.Background(), keyOf(r.Intn(*keys)), string(v))
				if err != nil {
					errs.Add(1)
				} else if measuring.Load() {
					lat[w] = append(lat[w], float64(time.Since(t).Microseconds())/1000)
				}
			}
		}(w)
	}
	time.Sleep(time.Duration(*warm) * time.Second)
	c0, o0, t0 := cpu(), own(), time.Now()
	measuring.Store(true)
	time.Sleep(time.Duration(*seconds) * time.Second)
	measuring.Store(false)
	dt, c1, o1 := time.Since(t0).Seconds(), cpu()-c0, own()-o0
	stop.Store(true)
	wg.Wait()
	var all []float64
	for _, l := range lat {
		all = append(all, l...)
	}
	sort.Float64s(all)
	n := float64(len(all))
	if n == 0 {
		log.Fatal("no put succeeded")
	}
	fmt.Printf("%s op put clients %d rate %.0f p50ms %.2f p99ms %.2f srvcpu_us/op %.1f clicpu_us/op %.1f errs %d\n", *tag, *clients,
		n/dt, all[len(all)/2], all[len(all)-1-len(all)/100], c1*1e6/n, o1*1e6/n, errs.Load())
}
