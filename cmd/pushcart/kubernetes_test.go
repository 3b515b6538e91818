package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pushcart/relay/trust"
)

// Kubernetes objects, as much of them as the manifests use: a key that is mistyped is found by the strict decoder.
type (
	labels map[string]string

	kubeMeta struct {
		Name   string `yaml:"name"`
		Labels labels `yaml:"labels"`
	}
	kubeObject struct {
		APIVersion string            `yaml:"apiVersion"`
		Kind       string            `yaml:"kind"`
		Metadata   kubeMeta          `yaml:"metadata"`
		Data       map[string]string `yaml:"data"`
		Spec       kubeSpec          `yaml:"spec"`
	}
	kubeSelector struct {
		MatchLabels labels `yaml:"matchLabels"`
	}
	// kubeSpec is of all kinds at once; TestKubernetes checks those of each.
	kubeSpec struct {
		// StatefulSet
		ServiceName         string `yaml:"serviceName"`
		Replicas            int    `yaml:"replicas"`
		PodManagementPolicy string `yaml:"podManagementPolicy"`
		Template            struct {
			Metadata kubeMeta `yaml:"metadata"`
			Spec     kubePod  `yaml:"spec"`
		} `yaml:"template"`
		VolumeClaimTemplates []struct {
			Metadata kubeMeta `yaml:"metadata"`
			Spec     struct {
				AccessModes []string `yaml:"accessModes"`
				Resources   struct {
					Requests map[string]string `yaml:"requests"`
				} `yaml:"resources"`
			} `yaml:"spec"`
		} `yaml:"volumeClaimTemplates"`
		// Selector of a Service is a mapping of labels, of the others a kubeSelector.
		Selector any `yaml:"selector"`
		// Service
		Type                     string            `yaml:"type"`
		ClusterIP                string            `yaml:"clusterIP"`
		PublishNotReadyAddresses bool              `yaml:"publishNotReadyAddresses"`
		ExternalTrafficPolicy    string            `yaml:"externalTrafficPolicy"`
		SessionAffinity          string            `yaml:"sessionAffinity"`
		Ports                    []kubeServicePort `yaml:"ports"`
		// PodDisruptionBudget
		MinAvailable int `yaml:"minAvailable"`
		// NetworkPolicy
		PodSelector kubeSelector `yaml:"podSelector"`
		PolicyTypes []string     `yaml:"policyTypes"`
		Ingress     []struct {
			From []struct {
				PodSelector       *kubeSelector `yaml:"podSelector"`
				NamespaceSelector *kubeSelector `yaml:"namespaceSelector"`
			} `yaml:"from"`
			Ports []struct {
				Port     string `yaml:"port"`
				Protocol string `yaml:"protocol"`
			} `yaml:"ports"`
		} `yaml:"ingress"`
	}
	kubeServicePort struct {
		Name       string `yaml:"name"`
		Port       int    `yaml:"port"`
		TargetPort string `yaml:"targetPort"`
		Protocol   string `yaml:"protocol"`
	}
	kubePod struct {
		TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
		EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
		AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
		SecurityContext               struct {
			RunAsNonRoot   bool `yaml:"runAsNonRoot"`
			RunAsUser      int  `yaml:"runAsUser"`
			RunAsGroup     int  `yaml:"runAsGroup"`
			FSGroup        int  `yaml:"fsGroup"`
			SeccompProfile struct {
				Type string `yaml:"type"`
			} `yaml:"seccompProfile"`
		} `yaml:"securityContext"`
		Affinity struct {
			PodAntiAffinity struct {
				Required []struct {
					TopologyKey   string       `yaml:"topologyKey"`
					LabelSelector kubeSelector `yaml:"labelSelector"`
				} `yaml:"requiredDuringSchedulingIgnoredDuringExecution"`
			} `yaml:"podAntiAffinity"`
		} `yaml:"affinity"`
		TopologySpreadConstraints []struct {
			MaxSkew           int          `yaml:"maxSkew"`
			TopologyKey       string       `yaml:"topologyKey"`
			WhenUnsatisfiable string       `yaml:"whenUnsatisfiable"`
			LabelSelector     kubeSelector `yaml:"labelSelector"`
		} `yaml:"topologySpreadConstraints"`
		Containers []kubeContainer `yaml:"containers"`
		Volumes    []struct {
			Name   string `yaml:"name"`
			Secret struct {
				SecretName  string `yaml:"secretName"`
				DefaultMode int    `yaml:"defaultMode"`
				Items       []struct {
					Key  string `yaml:"key"`
					Path string `yaml:"path"`
				} `yaml:"items"`
			} `yaml:"secret"`
		} `yaml:"volumes"`
	}
	kubeProbe struct {
		HTTPGet struct {
			Path string `yaml:"path"`
			Port string `yaml:"port"`
		} `yaml:"httpGet"`
		PeriodSeconds    int `yaml:"periodSeconds"`
		TimeoutSeconds   int `yaml:"timeoutSeconds"`
		FailureThreshold int `yaml:"failureThreshold"`
	}
	kubeContainer struct {
		Name            string `yaml:"name"`
		Image           string `yaml:"image"`
		ImagePullPolicy string `yaml:"imagePullPolicy"`
		EnvFrom         []struct {
			ConfigMapRef struct {
				Name string `yaml:"name"`
			} `yaml:"configMapRef"`
		} `yaml:"envFrom"`
		Env []struct {
			Name      string `yaml:"name"`
			Value     string `yaml:"value"`
			ValueFrom struct {
				FieldRef struct {
					FieldPath string `yaml:"fieldPath"`
				} `yaml:"fieldRef"`
				SecretKeyRef struct {
					Name string `yaml:"name"`
					Key  string `yaml:"key"`
				} `yaml:"secretKeyRef"`
			} `yaml:"valueFrom"`
		} `yaml:"env"`
		Ports []struct {
			Name          string `yaml:"name"`
			ContainerPort int    `yaml:"containerPort"`
			Protocol      string `yaml:"protocol"`
		} `yaml:"ports"`
		StartupProbe   kubeProbe `yaml:"startupProbe"`
		LivenessProbe  kubeProbe `yaml:"livenessProbe"`
		ReadinessProbe kubeProbe `yaml:"readinessProbe"`
		Lifecycle      struct {
			PreStop struct {
				Exec struct {
					Command []string `yaml:"command"`
				} `yaml:"exec"`
			} `yaml:"preStop"`
		} `yaml:"lifecycle"`
		SecurityContext struct {
			AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities             struct {
				Drop []string `yaml:"drop"`
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		VolumeMounts []struct {
			Name        string `yaml:"name"`
			MountPath   string `yaml:"mountPath"`
			SubPathExpr string `yaml:"subPathExpr"`
			ReadOnly    bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	}
)

// kubernetes reads all manifests that kustomization.yaml lists, by kind and name.
func kubernetes(t *testing.T) map[string]kubeObject {
	t.Helper()
	dir := configs + "kubernetes/"
	list := decode[struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Namespace  string   `yaml:"namespace"`
		Resources  []string `yaml:"resources"`
	}](t, dir+"kustomization.yaml")[0]
	files, err := filepath.Glob(dir + "*.yaml")
	if err != nil || len(files) != len(list.Resources)+1 {
		t.Errorf("the folder has %v, kustomization.yaml lists %v, %v", files, list.Resources, err)
	}
	all := map[string]kubeObject{}
	for _, file := range list.Resources {
		for _, o := range decode[kubeObject](t, dir+file) {
			key := o.Kind + " " + o.Metadata.Name
			if _, twice := all[key]; twice {
				t.Errorf("%s: %s is there twice", file, key)
			}
			if want := map[string]string{"ConfigMap": "v1", "Service": "v1", "StatefulSet": "apps/v1", "PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1"}[o.Kind]; o.APIVersion != want {
				t.Errorf("%s: %s is of %q, want %q", file, key, o.APIVersion, want)
			}
			all[key] = o
		}
	}
	return all
}

// environment is that of one pod, as the kubelet makes it.
func environment(t *testing.T, all map[string]kubeObject, c kubeContainer, pod string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		o, ok := all["ConfigMap "+from.ConfigMapRef.Name]
		if !ok {
			t.Fatalf("there is no ConfigMap %s", from.ConfigMapRef.Name)
		}
		for name, value := range o.Data {
			env[name] = value
		}
	}
	for _, e := range c.Env {
		value := e.Value
		switch {
		case e.ValueFrom.FieldRef.FieldPath == "metadata.name":
			value = pod
		case e.ValueFrom.SecretKeyRef.Name == "pushcart-keys":
			if how := read(t, configs+"kubernetes/kustomization.yaml"); !strings.Contains(how, "--from-literal="+e.ValueFrom.SecretKeyRef.Key+"=") {
				t.Errorf("nobody is told to make the secret's key %s", e.ValueFrom.SecretKeyRef.Key)
			}
			value = "show1=a-secret-of-some-length"
		case value == "":
			t.Errorf("%s has no value", e.Name)
		}
		env[e.Name] = regexp.MustCompile(`\$\((\w+)\)`).ReplaceAllStringFunc(value, func(ref string) string {
			known, ok := env[ref[2:len(ref)-1]]
			if !ok {
				t.Errorf("%s refers to %s, which is not set before it", e.Name, ref)
			}
			return known
		})
	}
	return env
}

// matches tells whether a selector, as decoded without a type, selects labels.
func matches(selector any, have labels) bool {
	m, ok := selector.(map[string]any)
	if !ok || len(m) == 0 {
		return false
	}
	if inner, ok := m["matchLabels"]; ok {
		return len(m) == 1 && matches(inner, have)
	}
	for k, v := range m {
		if have[k] != fmt.Sprint(v) {
			return false
		}
	}
	return true
}

// TestKubernetesPods: what a pod is told is settings, and agrees with the image, the ports and the other pods.
func TestKubernetesPods(t *testing.T) {
	t.Parallel()
	all, image := kubernetes(t), readDockerfile(t)
	set := all["StatefulSet pushcart"].Spec
	pod := set.Template.Spec
	if len(pod.Containers) != 1 || set.Replicas != 3 || set.PodManagementPolicy != "Parallel" {
		t.Fatalf("%d containers, %d replicas, %s", len(pod.Containers), set.Replicas, set.PodManagementPolicy)
	}
	c := pod.Containers[0]
	headless := all["Service "+set.ServiceName].Spec
	if headless.ClusterIP != "None" || !headless.PublishNotReadyAddresses {
		t.Errorf("the service %s of the pods' names is %+v", set.ServiceName, headless)
	}

	ports := map[string]string{} // name to "8080/tcp"
	for _, p := range c.Ports {
		protocol := strings.ToLower(p.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		ports[p.Name] = fmt.Sprintf("%d/%s", p.ContainerPort, protocol)
	}
	for exposed := range image.ports {
		found := false
		for _, p := range ports {
			found = found || p == exposed
		}
		if !found {
			t.Errorf("the image's port %s is none of the pod's", exposed)
		}
	}
	for i := range set.Replicas {
		name := "pushcart-" + strconv.Itoa(i)
		env := environment(t, all, c, name)
		cfg := settingsOf(t, name, env)
		for port, address := range map[string]string{
			"http": string(cfg.HTTP.Address), "rtmp": string(cfg.RTMP.Address), "rtsp": string(cfg.RTSP.Address), "rtp": string(cfg.RTSP.UDPAddress),
			"srt": string(cfg.SRT.Address), "webrtc-udp": string(cfg.WHIP.UDPAddress), "webrtc-tcp": string(cfg.WHIP.TCPAddress), "admin": string(cfg.Admin.Address),
			"relay": env["PUSHCART_CLUSTER_ADDRESS"], "nats": env["PUSHCART_CLUSTER_LISTEN_NATS"], "leaf": env["PUSHCART_CLUSTER_LISTEN_LEAF"],
		} {
			if number, _, _ := strings.Cut(ports[port], "/"); portOf(t, address) != number {
				t.Errorf("%s: %s is %s, and the setting %q", name, port, ports[port], address)
			}
		}
		host := name + "." + set.ServiceName
		if env["PUSHCART_CLUSTER_ADVERTISE"] != host+":"+portOf(t, env["PUSHCART_CLUSTER_ADDRESS"]) {
			t.Errorf("%s tells the others %s", name, env["PUSHCART_CLUSTER_ADVERTISE"])
		}
		if core := strings.Split(env["PUSHCART_CLUSTER_CORE"], ","); len(core) != set.Replicas || core[i] != host+":"+portOf(t, env["PUSHCART_CLUSTER_LISTEN_NATS"]) {
			t.Errorf("the core is %v", core)
		}
		// Its folder has its own certificate and key, and nobody else's.
		folder := map[string]string{}
		for _, item := range pod.Volumes[0].Secret.Items {
			if file, own := strings.CutPrefix(item.Path, name+"/"); own {
				folder[file] = item.Key
			}
		}
		if len(folder) != 3 || folder[trust.AuthorityFile] != "ca.pem" || folder[trust.CertificateFile] != name+".pem" || folder[trust.KeyFile] != name+".key" {
			t.Errorf("%s gets %v", name, folder)
		}
		mounted := false
		for _, m := range c.VolumeMounts {
			if m.Name == pod.Volumes[0].Name {
				mounted = m.MountPath == env["PUSHCART_CLUSTER_DIRECTORY"] && m.SubPathExpr == "$(PUSHCART_NODE_NAME)" && m.ReadOnly
			}
		}
		if !mounted {
			t.Errorf("%s: the folder is not where cluster.directory says", name)
		}
	}
}

// TestKubernetesRights: pods have no more rights than they need, and the probes and times are right.
func TestKubernetesRights(t *testing.T) {
	t.Parallel()
	all, image := kubernetes(t), readDockerfile(t)
	set := all["StatefulSet pushcart"].Spec
	pod, c := set.Template.Spec, set.Template.Spec.Containers[0]
	s := pod.SecurityContext
	if !s.RunAsNonRoot || fmt.Sprintf("%d:%d", s.RunAsUser, s.RunAsGroup) != image.user || s.FSGroup != s.RunAsGroup || s.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod runs as %+v, the image as %s", s, image.user)
	}
	if cs := c.SecurityContext; cs.AllowPrivilegeEscalation == nil || *cs.AllowPrivilegeEscalation || !cs.ReadOnlyRootFilesystem || !slices.Equal(cs.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container may %+v", cs)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("the pod gets a token or variables that it does not need")
	}
	if mode := pod.Volumes[0].Secret.DefaultMode; mode != 0o440 {
		t.Errorf("keys have the mode %o", mode)
	}
	for name, p := range map[string]struct {
		probe kubeProbe
		path  string
	}{"startup": {c.StartupProbe, "/healthz"}, "liveness": {c.LivenessProbe, "/healthz"}, "readiness": {c.ReadinessProbe, "/readyz"}} {
		if p.probe.HTTPGet.Path != p.path || p.probe.HTTPGet.Port != "admin" || p.probe.PeriodSeconds == 0 {
			t.Errorf("%s asks %+v", name, p.probe)
		}
	}
	stop := c.Lifecycle.PreStop.Exec.Command
	if len(stop) != 2 || stop[0] != "sleep" {
		t.Fatalf("preStop is %v", stop)
	}
	if wait, err := strconv.Atoi(stop[1]); err != nil || wait < 2*c.ReadinessProbe.PeriodSeconds || pod.TerminationGracePeriodSeconds < wait+leastGrace() {
		t.Errorf("%d s for preStop and ending do not suffice: %v %v", pod.TerminationGracePeriodSeconds, stop, err)
	}
	data := false
	for _, m := range c.VolumeMounts {
		data = data || m.MountPath == image.volume && m.Name == set.VolumeClaimTemplates[0].Metadata.Name && !m.ReadOnly
	}
	if !data || set.VolumeClaimTemplates[0].Spec.Resources.Requests["storage"] == "" || !slices.Equal(set.VolumeClaimTemplates[0].Spec.AccessModes, []string{"ReadWriteOnce"}) {
		t.Errorf("%s is not on a disk of the pod's own", image.volume)
	}
	if a := pod.Affinity.PodAntiAffinity.Required; len(a) != 1 || a[0].TopologyKey != "kubernetes.io/hostname" {
		t.Errorf("two nodes may be on one host: %+v", a)
	}
	if b := all["PodDisruptionBudget pushcart"].Spec; b.MinAvailable != 2 || !matches(b.Selector, set.Template.Metadata.Labels) {
		t.Errorf("the budget is %+v", b)
	}
	if c.Image != decode[composeFile](t, configs+"compose.yaml")[0].Services["pushcart"].Image {
		t.Errorf("the image is %s", c.Image)
	}
}

// TestKubernetesNetwork: services and the policy name ports that pods have, and each port can be reached by those it is for.
func TestKubernetesNetwork(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	set := all["StatefulSet pushcart"].Spec
	protocols, reached := map[string]string{}, map[string]bool{}
	for _, p := range set.Template.Spec.Containers[0].Ports {
		protocols[p.Name] = p.Protocol
	}
	perPod := 0
	for key, o := range all {
		if o.Kind != "Service" {
			continue
		}
		have := labels{}
		for k, v := range set.Template.Metadata.Labels {
			have[k] = v
		}
		if strings.Contains(fmt.Sprint(o.Spec.Selector), "pod-name") {
			perPod++
			have["statefulset.kubernetes.io/pod-name"] = o.Metadata.Name
		}
		if !matches(o.Spec.Selector, have) {
			t.Errorf("%s selects no pod: %v", key, o.Spec.Selector)
		}
		for _, p := range o.Spec.Ports {
			if protocol, ok := protocols[p.TargetPort]; !ok || protocol != p.Protocol {
				t.Errorf("%s: %s leads to %s/%s, which no pod has", key, p.Name, p.TargetPort, p.Protocol)
			}
			inner := slices.Contains([]string{"relay", "nats", "leaf"}, p.TargetPort)
			if public := o.Spec.Type == "LoadBalancer"; public == inner {
				t.Errorf("%s: %s is public: %v", key, p.TargetPort, public)
			}
			reached[p.TargetPort] = true
		}
	}
	if perPod != set.Replicas {
		t.Errorf("%d of %d pods have a service of their own", perPod, set.Replicas)
	}
	policy := all["NetworkPolicy pushcart"].Spec
	if !matches(map[string]any{"matchLabels": anyLabels(policy.PodSelector.MatchLabels)}, set.Template.Metadata.Labels) || !slices.Equal(policy.PolicyTypes, []string{"Ingress"}) {
		t.Errorf("the policy is for %+v", policy.PodSelector)
	}
	let := map[string]bool{}
	for _, rule := range policy.Ingress {
		for _, p := range rule.Ports {
			if protocol, ok := protocols[p.Port]; !ok || protocol != p.Protocol {
				t.Errorf("the policy has %s/%s, which no pod has", p.Port, p.Protocol)
			}
			if let[p.Port] {
				t.Errorf("the policy has %s twice", p.Port)
			}
			let[p.Port] = true
			open := len(rule.From) == 0
			if open == slices.Contains([]string{"relay", "nats", "leaf", "admin"}, p.Port) {
				t.Errorf("the policy lets everybody to %s: %v", p.Port, open)
			}
		}
	}
	for name := range protocols {
		if !let[name] {
			t.Errorf("the policy lets nobody to %s", name)
		}
		if !reached[name] && name != "admin" {
			t.Errorf("no service leads to %s", name)
		}
	}
}

func anyLabels(l labels) map[string]any {
	m := map[string]any{}
	for k, v := range l {
		m[k] = v
	}
	return m
}

// TestKubernetesCertificates runs the commands that kustomization.yaml tells, as far as they are ours.
func TestKubernetesCertificates(t *testing.T) {
	t.Parallel()
	how := read(t, configs+"kubernetes/kustomization.yaml")
	m := regexp.MustCompile(`for n in ([a-z0-9 -]+); do pushcart ca issue \$n --region ([a-z0-9-]+); done`).FindStringSubmatch(how)
	if m == nil {
		t.Fatal("it does not tell how to issue certificates")
	}
	dir := filepath.Join(t.TempDir(), "cluster")
	if _, err := ca(t, "init", "--dir", dir); err != nil {
		t.Fatal(err)
	}
	if region := kubernetes(t)["ConfigMap pushcart-settings"].Data["PUSHCART_CLUSTER_REGION"]; region != m[2] {
		t.Errorf("certificates are for %s, the settings for %s", m[2], region)
	}
	for name := range strings.FieldsSeq(m[1]) {
		if _, err := ca(t, "issue", name, "--region", m[2], "--dir", dir); err != nil {
			t.Error(err)
		}
		for _, file := range []string{trust.CertificateFile, trust.KeyFile} {
			if _, err := os.Stat(filepath.Join(dir, name, file)); err != nil || !strings.Contains(how, "=cluster/$n/"+file) {
				t.Errorf("%s of %s is not what goes into the secret: %v", file, name, err)
			}
		}
	}
}
