// Package compose checks compose.yaml. It lives in the module of tools, so that the service does not depend on the
// library that Docker Compose itself reads such files with.
package compose

import (
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const file = "../../compose.yaml"

func TestComposeLoadsTheFile(t *testing.T) {
	services := load(t).ServiceNames()
	for _, wanted := range []string{"kafka", "postgres", "migrate", "onhand"} {
		if !slices.Contains(services, wanted) {
			t.Errorf("no service %s among %v", wanted, services)
		}
	}
}

func TestOnhandStartsOnlyAfterItsServersAndItsSchema(t *testing.T) {
	project := load(t)
	waits(t, project, "migrate", "postgres", types.ServiceConditionHealthy)
	waits(t, project, "onhand", "kafka", types.ServiceConditionHealthy)
	waits(t, project, "onhand", "migrate", types.ServiceConditionCompletedSuccessfully)
}

func TestWhoeverIsWaitedForHasAHealthCheck(t *testing.T) {
	project := load(t)
	for _, service := range project.Services {
		for name, dependency := range service.DependsOn {
			check := project.Services[name].HealthCheck
			if dependency.Condition == types.ServiceConditionHealthy && (check == nil || check.Disable) {
				t.Errorf("%s waits for %s, which has no health check", service.Name, name)
			}
		}
	}
	if check := project.Services["onhand"].HealthCheck; check == nil || !slices.Contains(check.Test, "healthcheck") {
		t.Error("onhand does not check itself with its own command: its image has no shell")
	}
}

func TestMigrateRunsOnce(t *testing.T) {
	if restart := load(t).Services["migrate"].Restart; restart != "" && restart != types.RestartPolicyNo &&
		!strings.HasPrefix(restart, types.RestartPolicyOnFailure) {
		t.Errorf("migrate restarts %q: nothing could wait for its end", restart)
	}
}

func TestImagesArePinned(t *testing.T) {
	for _, service := range load(t).Services {
		if service.Build != nil {
			continue
		}
		_, tag, _ := strings.Cut(service.Image, ":")
		if tag == "" || tag == "latest" {
			t.Errorf("%s runs whatever %q is that day", service.Name, service.Image)
		}
	}
}

func TestPortsAreForThisMachineOnly(t *testing.T) {
	for _, service := range load(t).Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s to the network: it has no password", service.Name, port.Published)
			}
		}
	}
}

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{file}, cli.WithName("onhand"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func waits(t *testing.T, project *types.Project, service, dependency, condition string) {
	t.Helper()
	if got := project.Services[service].DependsOn[dependency].Condition; got != condition {
		t.Errorf("%s waits for %s: %q, want %q", service, dependency, got, condition)
	}
}
