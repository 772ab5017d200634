package network

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
)

// distance is the toxic that this package adds to toxiproxy's own, whose latency knows whole milliseconds only: bytes
// arrive that much later than they were sent, in both directions, however many are under way.
type distance struct {
	Microseconds int64 `json:"microseconds"`
}

const distanceName = "distance"

var registered = sync.OnceFunc(func() { toxics.Register(distanceName, new(distance)) })

// underWay is how many pieces of up to 32 KiB each may be on their way at a time.
const underWay = 1024

// GetBufferSize is called by toxiproxy.
func (d *distance) GetBufferSize() int { return underWay }

// Pipe is called by toxiproxy, once a connection and direction.
func (d *distance) Pipe(stub *toxics.ToxicStub) {
	late := time.Duration(d.Microseconds) * time.Microsecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stub.Interrupt:
			return
		case piece := <-stub.Input:
			if piece == nil { // the sender has closed
				stub.Close()
				return
			}
			timer.Reset(time.Until(piece.Timestamp.Add(late)))
			select {
			case <-timer.C:
			case <-stub.Interrupt:
				stub.Output <- piece
				return
			}
			stub.Output <- piece
		}
	}
}

// Delay is a longer way to the database.
type Delay struct{ proxy *toxiproxy.Proxy }

// NewDelay listens for clients of that database, half of roundTrip away from it.
func NewDelay(databaseURL string, roundTrip time.Duration) (*Delay, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, err
	}
	registered()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	d := &Delay{toxiproxy.NewProxy(server, "postgres", "127.0.0.1:0", u.Host)}
	if err := d.proxy.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	for _, stream := range []string{"upstream", "downstream"} {
		_, err := d.proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
			`{"name": %q, "type": %q, "stream": %q, "toxicity": 1, "attributes": {"microseconds": %d}}`,
			stream, distanceName, stream, (roundTrip / 2).Microseconds())))
		if err != nil {
			d.proxy.Stop()
			return nil, fmt.Errorf("make the way longer: %w", err)
		}
	}
	return d, nil
}

// Address is where clients connect to.
func (d *Delay) Address() string { return d.proxy.Listen }

// Close ends all connections.
func (d *Delay) Close() error {
	d.proxy.Stop()
	return nil
}
