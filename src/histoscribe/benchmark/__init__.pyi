from .engine import Benchmark as Benchmark, run_benchmark as run_benchmark
from .ledger import Ledger as Ledger, Score as Score
from .methods import Method as Method, chosen_methods as chosen_methods, methods_of as methods_of
from .report import write_benchmark_report as write_benchmark_report
from .tables import TableLayout as TableLayout, write_tables as write_tables
