package testkit

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// SkewVariable is the environment variable that a program of BuildSkewed takes its clock's error from, in whole seconds.
const SkewVariable = "TESTKIT_CLOCK_SKEW"

// Skewed is the environment for a clock that is ahead of the host's by so many seconds, or behind it.
func Skewed(by time.Duration) []string {
	return []string{fmt.Sprint(SkewVariable, "=", int(by.Seconds()))}
}

// BuildSkewed builds the program with one file more, which has its clock of the time of day go wrong as SkewVariable says. The
// program's own code is the same, and knows nothing of it. It ends the test on machines that it does not know how to do this on.
func BuildSkewed(t testing.TB) string {
	t.Helper()
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		t.Fatalf("no program with a wrong clock can be built for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	dir := t.TempDir()
	folder, err := exec.Command("go", "list", "-f", "{{.Dir}}", "pushcart/cmd/pushcart").Output()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(strings.TrimSpace(string(folder)), "testkit_skew.go"): WriteFile(t, "skew.go", skewFile),
	}})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "pushcart")
	cmd := exec.Command("go", "build", "-overlay", WriteFile(t, "overlay.json", string(overlay)), "-ldflags=-checklinkname=0", "-o", program, "pushcart/cmd/pushcart")
	cmd.Env = os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// skewFile puts a few instructions between the Go runtime and the kernel's function for the time (vDSO clock_gettime): they call it,
// and add to the seconds where the clock is that of the time of day.
const skewFile = `package main

import (
	"encoding/binary"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

//go:linkname vdsoClockgettimeSym runtime.vdsoClockgettimeSym
var vdsoClockgettimeSym uintptr

func init() {
	seconds, _ := strconv.Atoi(os.Getenv("` + SkewVariable + `"))
	if seconds == 0 {
		return
	}
	if vdsoClockgettimeSym == 0 {
		panic("this kernel has no vDSO")
	}
	code := []byte{
		0x57,                   // push rdi, the clock
		0x56,                   // push rsi, where the time goes
		0x48, 0x83, 0xEC, 0x08, // sub rsp, 8
		0x48, 0xB8, // mov rax, the kernel's function
	}
	code = binary.LittleEndian.AppendUint64(code, uint64(vdsoClockgettimeSym))
	code = append(code,
		0xFF, 0xD0, // call rax
		0x48, 0x83, 0xC4, 0x08, // add rsp, 8
		0x5E,       // pop rsi
		0x5F,       // pop rdi
		0x85, 0xFF, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x07, // jne to the end
		0x48, 0x81, 0x06, // add qword [rsi], seconds
	)
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(seconds)))
	code = append(code, 0xC3) // ret
	page, err := syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE|syscall.PROT_EXEC, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	copy(page, code)
	vdsoClockgettimeSym = uintptr(unsafe.Pointer(&page[0]))
}
`
