from nightscribe.cli import run

if __name__ == "__main__":
    run()
