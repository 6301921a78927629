// The program of the test image: "get URL" asks once a second until it is answered 200 (30 s), "hold" waits for
// SIGTERM and says goodbye, "say TEXT" prints it.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func get(url string) int {
	client := http.Client{Timeout: 5 * time.Second}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) {
		answer, err := client.Get(url)
		if err != nil {
			fmt.Println(err)
			continue
		}
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
		answer.Body.Close()
		fmt.Println(answer.StatusCode, string(body))
		if answer.StatusCode == http.StatusOK {
			return 0
		}
	}
	return 1
}

func hold() int {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	fmt.Println("holding")
	<-ended
	fmt.Println("goodbye")
	return 0
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "get":
		os.Exit(get(os.Args[2]))
	case len(os.Args) == 3 && os.Args[1] == "say":
		fmt.Println(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "hold":
		os.Exit(hold())
	default:
		fmt.Fprintln(os.Stderr, "usage: probe get URL | say TEXT | hold")
		os.Exit(2)
	}
}
