// The question `echo` (bench/echo.h), asked of Go: a goroutine for each connection.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
)

func room(variant string) int {
	var connections, bytes int
	fmt.Sscanf(variant, "%dx%d", &connections, &bytes)
	return min(2*bytes, 65536)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func serve(conn net.Conn, size int) {
	block := make([]byte, size)
	defer conn.Close()
	for {
		n, err := conn.Read(block)
		if err != nil {
			return
		}
		if _, err = conn.Write(block[:n]); err != nil {
			return
		}
	}
}

func acceptAll(listener net.Listener, size int) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(conn, size)
	}
}

func main() {
	for _, variant := range os.Args[2:] {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go acceptAll(listener, room(variant))
		load := exec.Command(os.Getenv("BENCH_ECHO_LOAD"), fmt.Sprint(listener.Addr().(*net.TCPAddr).Port),
			fmt.Sprint(os.Getpid()), variant)
		load.Stdout, load.Stderr = os.Stdout, os.Stderr
		if err := load.Run(); err != nil {
			panic(err)
		}
		listener.Close()
	}
}
