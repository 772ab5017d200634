package demo

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// broker speaks Kafka's protocol from within this process and keeps its log in a folder. It lives as long as the demo:
// only the service crashes.
type broker struct {
	*kfake.Cluster
	address string
}

func startBroker(dir string) (*broker, error) {
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.DataDir(dir),
		kfake.ClusterID("onhand-demo"),
		kfake.SeedTopics(partitions, topic, changes),
		kfake.GroupMinSessionTimeout(time.Second),
	)
	if err != nil {
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return &broker{Cluster: cluster, address: cluster.ListenAddrs()[0]}, nil
}
